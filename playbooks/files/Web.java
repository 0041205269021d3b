// A small web server on what the JDK brings (jdk.httpserver): the demonstration of the role java,
// and what its tests ask. Each request has a thread of a pool.
//
//   java Web PORT [--once]      --once: answers itself one request and ends, to learn which classes
//                               that takes
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;

public class Web {
    interface Page {
        byte[] answer(HttpExchange exchange) throws Exception;
    }

    private static final Map<String, byte[]> values = new ConcurrentHashMap<>();

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(arguments[0])), 128);
        serve(server, "/hello", Web::hello);
        serve(server, "/about", Web::about);
        serve(server, "/digest", Web::digest);
        serve(server, "/kv/", Web::keyAndValue);
        serve(server, "/garbage", Web::garbage);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.start();
        System.out.println("listening at " + server.getAddress().getPort());
        if (arguments.length > 1) {
            URL here = new URL("http://127.0.0.1:" + server.getAddress().getPort() + "/hello?once");
            System.out.print(new String(here.openStream().readAllBytes(), StandardCharsets.UTF_8));
            System.exit(0);
        }
    }

    private static void serve(HttpServer server, String path, Page page) {
        server.createContext(path, exchange -> {
            byte[] body;
            int status = 200;
            try {
                body = page.answer(exchange);
                status = body == null ? 404 : 200;
            } catch (Exception failure) {
                body = text(failure.toString() + "\n");
                status = 500;
            }
            exchange.sendResponseHeaders(status, body == null || body.length == 0 ? -1 : body.length);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(body == null ? new byte[0] : body);
            }
        });
    }

    private static byte[] text(String words) {
        return words.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] hello(HttpExchange exchange) {
        String query = exchange.getRequestURI().getQuery();
        return text("hello, " + (query == null ? "world" : query) + "\n");
    }

    private static byte[] about(HttpExchange exchange) {
        Runtime runtime = Runtime.getRuntime();
        return text("java " + System.getProperty("java.version")
            + ", processors " + runtime.availableProcessors()
            + ", heap " + runtime.maxMemory() / (1024 * 1024) + " MiB\n");
    }

    private static byte[] digest(HttpExchange exchange) throws Exception {
        byte[] sent = exchange.getRequestBody().readAllBytes();
        byte[] sum = MessageDigest.getInstance("SHA-256").digest(sent);
        return text(HexFormat.of().formatHex(sum) + " " + sent.length + "\n");
    }

    private static byte[] keyAndValue(HttpExchange exchange) throws IOException {
        String key = exchange.getRequestURI().getPath();
        if (exchange.getRequestMethod().equals("PUT")) {
            values.put(key, exchange.getRequestBody().readAllBytes());
            return new byte[0];
        }
        return values.get(key);
    }

    // Allocates what the query says in KiB, in small pieces that are soon let go.
    private static byte[] garbage(HttpExchange exchange) {
        int left = Integer.parseInt(exchange.getRequestURI().getQuery());
        long sum = 0;
        byte[][] kept = new byte[64][];
        for (int number = 0; number < left; ++number) {
            kept[number % 64] = new byte[1024];
            kept[number % 64][number % 1024] = 1;
            sum += kept[(number * 7) % 64] == null ? 0 : 1;
        }
        return text("let go of " + left + " KiB, saw " + sum + "\n");
    }
}
