// The least that a JVM can be started for.
public class Hello {
    public static void main(String[] arguments) {
        System.out.println("hello, world");
    }
}
