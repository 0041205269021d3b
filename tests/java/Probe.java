// What tests/java runs in the guest and on Linux: each word of the command line is one thing to try,
// and each prints what came of it, the same on both where it can be.
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

public class Probe {
    private int value = 1;

    public static void main(String[] words) throws Exception {
        for (String word : words) {
            String[] parts = word.split("=");
            long number = parts.length > 1 ? Long.parseLong(parts[1]) : 0;
            switch (parts[0]) {
                case "null" -> nulls();
                case "divide" -> divide();
                case "overflow" -> overflow();
                case "exec" -> exec();
                case "machine" -> machine();
                case "threads" -> threads((int) number);
                case "pressure" -> pressure((int) number);
                case "wait" -> waitForInput();
                default -> throw new IllegalArgumentException(word);
            }
        }
    }

    // Often enough to be compiled, where a null is found by SIGSEGV and not by a comparison.
    private static void nulls() {
        Probe[] some = new Probe[1000];
        for (int i = 0; i < some.length; ++i) {
            some[i] = i % 500 == 499 ? null : new Probe();
        }
        int caught = 0;
        long sum = 0;
        for (int round = 0; round < 200; ++round) {
            for (Probe each : some) {
                try {
                    sum += each.value;
                } catch (NullPointerException expected) {
                    ++caught;
                }
            }
        }
        System.out.println("null: caught " + caught + ", sum " + sum);
    }

    private static void divide() {
        int caught = 0;
        for (int round = 0; round < 20000; ++round) {
            try {
                caught += 1 / (round % 2);
            } catch (ArithmeticException expected) {
                ++caught;
            }
        }
        System.out.println("divide: " + caught);
    }

    private static int dive(int depth) {
        return depth + (dive(depth + 1) & 1);
    }

    // In the main thread, and in several with stacks of their own.
    private static void overflow() throws InterruptedException {
        AtomicLong caught = new AtomicLong();
        Runnable fall = () -> {
            for (int round = 0; round < 3; ++round) {
                try {
                    dive(0);
                } catch (StackOverflowError expected) {
                    caught.incrementAndGet();
                }
            }
        };
        fall.run();
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < 4; ++number) {
            threads.add(new Thread(null, fall, "diver", 256 * 1024));
            threads.get(number).start();
        }
        for (Thread each : threads) {
            each.join();
        }
        System.out.println("overflow: caught " + caught);
    }

    private static void exec() throws InterruptedException {
        try {
            System.out.println("exec: status " + Runtime.getRuntime().exec("/bin/true").waitFor());
        } catch (IOException refused) {
            System.out.println("exec: " + refused.getClass().getName());
        }
    }

    private static void machine() throws IOException {
        Runtime runtime = Runtime.getRuntime();
        var system = (com.sun.management.OperatingSystemMXBean)
            ManagementFactory.getOperatingSystemMXBean();
        System.out.println("machine: processors " + runtime.availableProcessors()
            + ", memory " + (system.getTotalMemorySize() >> 20)
            + ", heap " + (runtime.maxMemory() >> 20)
            + ", host " + InetAddress.getLocalHost());
    }

    // All alive at once: none ends before the last has begun.
    private static void threads(int count) throws InterruptedException {
        CountDownLatch begun = new CountDownLatch(count);
        CountDownLatch go = new CountDownLatch(1);
        AtomicLong sum = new AtomicLong();
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < count; ++number) {
            long mine = number;
            Thread fresh = new Thread(null, () -> {
                begun.countDown();
                try {
                    go.await();
                } catch (InterruptedException stop) {
                    return;
                }
                sum.addAndGet(mine);
            }, "one of many", 64 * 1024);
            fresh.start();
            threads.add(fresh);
        }
        begun.await();
        int alive = ManagementFactory.getThreadMXBean().getThreadCount();
        go.countDown();
        for (Thread each : threads) {
            each.join();
        }
        System.out.println("threads: sum " + sum + (alive >= count ? ", all at once" : ", at most " + alive));
    }

    // Keeps half of the heap alive in a table whose entries are replaced all the time, by two threads;
    // what it holds must be what was put in. `times` is how often the whole table is replaced.
    private static void pressure(int times) throws InterruptedException {
        int entries = (int) (Runtime.getRuntime().maxMemory() / 2 / 4096);
        long[] wrong = new long[2];
        Thread[] workers = new Thread[2];
        for (int number = 0; number < 2; ++number) {
            int mine = number;
            workers[number] = new Thread(() -> wrong[mine] = churn(entries / 2, times, mine));
            workers[number].start();
        }
        for (Thread each : workers) {
            each.join();
        }
        long collections = 0;
        for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans()) {
            collections += bean.getCollectionCount();
        }
        System.out.println("pressure: wrong " + (wrong[0] + wrong[1])
            + (collections > 2 ? ", collected" : ", collected " + collections + " times"));
    }

    private static long churn(int entries, int times, int seed) {
        byte[][] table = new byte[entries][];
        long wrong = 0;
        for (int round = 0; round < times; ++round) {
            for (int number = 0; number < entries; ++number) {
                byte[] old = table[number];
                if (old != null && (old[0] != (byte) (number + round - 1 + seed) || old[4000] != old[0])) {
                    ++wrong;
                }
                byte[] fresh = new byte[4064];
                Arrays.fill(fresh, (byte) (number + round + seed));
                table[number] = fresh;
            }
        }
        return wrong;
    }

    private static void waitForInput() throws IOException {
        Thread idle = new Thread(() -> {
            synchronized (Probe.class) {
                try {
                    Probe.class.wait();
                } catch (InterruptedException stop) {
                    return;
                }
            }
        }, "waits for ever");
        idle.setDaemon(true);
        idle.start();
        System.out.println("ready");
        System.out.println("wait: read " + System.in.read());
    }
}
