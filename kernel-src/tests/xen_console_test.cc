// The console's rings against a model of the host's daemon, honest and not; and the editing of lines.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "drivers/xen/console.hh"
#include "fs/file.hh"
#include "tests/host/xen_machine.hh"

namespace kiln {
namespace {

using host::xen_machine;
using xen::console_page;
using xen::ring_console;

std::string echoed;

struct rig {
    console_page page{};
    ring_console console{[](std::string_view text) { echoed += text; }};

    rig() {
        xen_machine::the();
        echoed.clear();
        console.use(page, xen_machine::console_port);
        console.set_patience(1000);
    }
    ~rig() { xen_machine::the().on_send = [](u32) {}; }

    // What the host's daemon does when it is told.
    std::string drain() {
        std::string taken(console_page::output_size, '\0');
        xen::byte_ring<console_page::output_size> ring{page.output, page.output_consumed,
                                                       page.output_produced};
        taken.resize(ring.take(taken).value_or(0));
        return taken;
    }
    void type(std::string_view text) {
        xen::byte_ring<console_page::input_size> ring{page.input, page.input_consumed,
                                                      page.input_produced};
        static_cast<void>(ring.put(text));
        xen_machine::the().raise(xen_machine::console_port);
    }
    std::string read() {
        char bytes[256];
        const result<usize> size = console.read(std::as_writable_bytes(std::span(bytes)), true);
        return size.ok() ? std::string(bytes, size.value()) : "nothing";
    }
    result<usize> write(std::string_view text, bool nonblocking) {
        return console.write(std::as_bytes(std::span(text)), nonblocking);
    }
};

TEST(xen_console, ends_lines_as_terminals_want) {
    rig r;
    r.console.put("one\ntwo");
    EXPECT_EQ(r.write("three\n\nfour", false).take(), 11u);
    EXPECT_EQ(r.drain(), "one\r\ntwothree\r\n\r\nfour");
}

TEST(xen_console, brings_more_than_the_ring_holds) {
    rig r;
    std::string all;
    xen_machine::the().on_send = [&](u32) { all += r.drain(); };
    const std::string text(5 * console_page::output_size + 7, 'a');
    r.console.put(text);
    EXPECT_EQ(all, text);
}

TEST(xen_console, a_program_waits_for_room) {
    rig r;
    ASSERT_TRUE(r.console.start_input().ok());
    const std::string text(3 * console_page::output_size, 'b');
    std::string all;
    std::atomic<bool> done{false};
    std::thread program([&] {
        EXPECT_EQ(r.write(text, false).take(), text.size());
        done = true;
    });
    while (!done || r.page.output_consumed != r.page.output_produced) {
        all += r.drain();
        xen_machine::the().raise(xen_machine::console_port);
        std::this_thread::yield();
    }
    program.join();
    EXPECT_EQ(all, text);
}

TEST(xen_console, a_program_that_does_not_wait_is_told) {
    rig r;
    const std::string text(console_page::output_size, 'c');
    EXPECT_TRUE(r.console.poll_events() & poll_event::out);
    EXPECT_EQ(r.write(text + text, true).take(), text.size());
    EXPECT_EQ(r.write("more", true).error(), err::again);
    EXPECT_FALSE(r.console.poll_events() & poll_event::out);
    EXPECT_EQ(r.drain(), text);
    EXPECT_EQ(r.write("more", true).take(), 4u);
}

TEST(xen_console, a_host_that_takes_nothing_holds_nobody_up_twice) {
    rig r;
    r.console.put(std::string(console_page::output_size, 'd'));
    r.console.put("lost");
    r.console.put("lost too");
    r.console.finish();
    EXPECT_EQ(r.drain(), std::string(console_page::output_size, 'd'));
    r.console.put("seen");
    EXPECT_EQ(r.drain(), "seen");
}

TEST(xen_console, impossible_counters_lose_bytes_and_nothing_else) {
    rig r;
    ASSERT_TRUE(r.console.start_input().ok());
    r.page.output_consumed = 5000;
    r.console.put("lost\n");
    EXPECT_EQ(r.write("lost\n", false).take(), 5u);
    r.console.drain();
    r.page.output_consumed = r.page.output_produced.load();
    r.console.put("seen");
    EXPECT_EQ(r.drain(), "seen");
    r.page.input_produced = 70'000;
    xen_machine::the().raise(xen_machine::console_port);
    EXPECT_EQ(r.read(), "nothing");
}

TEST(xen_console, lines_are_edited) {
    rig r;
    ASSERT_TRUE(r.console.start_input().ok());
    r.type("helpo\b\blo\r");
    EXPECT_EQ(r.read(), "hello\n");
    r.type("gone\x15kept\nnext");
    EXPECT_EQ(r.read(), "kept\n");
    EXPECT_EQ(r.read(), "nothing");
    r.type("\n\x04");
    EXPECT_EQ(r.read(), "next\n");
    EXPECT_EQ(r.read(), "");
    EXPECT_TRUE(echoed.starts_with("helpo\b \b\b \blo\n"));
}

TEST(xen_console, a_host_that_types_for_ever_is_taken_in_pieces) {
    rig r;
    ASSERT_TRUE(r.console.start_input().ok());
    for (int i = 0; i < 50; ++i) {
        r.type(std::string(console_page::input_size, 'x'));
    }
    r.type("\n");
    std::string line;
    while (!line.ends_with('\n')) {
        line += r.read();
    }
    EXPECT_EQ(line.size(), 4096u);  // what a line may have
}

TEST(xen_console, several_write_at_once) {
    rig r;
    r.console.set_patience(~u32{0});
    std::vector<std::thread> threads;
    std::string all;
    for (const char byte : {'a', 'b', 'c'}) {
        threads.emplace_back([&r, byte] {
            for (int i = 0; i < 200; ++i) {
                r.console.put(std::string(10, byte));
            }
        });
    }
    std::atomic<bool> ending{false};
    std::thread daemon([&] {
        while (!ending) {
            all += r.drain();
            std::this_thread::yield();
        }
        all += r.drain();
    });
    for (std::thread& each : threads) {
        each.join();
    }
    ending = true;
    daemon.join();
    for (const char byte : {'a', 'b', 'c'}) {
        EXPECT_EQ(std::count(all.begin(), all.end(), byte), 2000);
    }
}

}  // namespace
}  // namespace kiln
