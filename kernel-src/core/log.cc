// kernel only: the serial console and the log port. See log.hh.
//
// Lines go into a ring. Before the log port exists, and when there is none, they also go to the serial
// console at once; afterwards a kernel thread carries them to the port. Locks: `carrying` (sleeping), then
// `lock` (irq) around the ring, which is never held while writing to a port.
#include "core/log.hh"

#include <algorithm>

#include "core/clock.hh"
#include "core/console.hh"
#include "core/log_port.hh"
#include "core/mutex.hh"
#include "core/spinlock.hh"
#include "core/thread.hh"
#include "core/wait_queue.hh"

namespace kiln {
namespace {

constexpr usize ring_size = 16 * KiB;
constexpr usize longest_line = 512;

struct log_state {
    irq_spinlock lock;
    char ring[ring_size]{};
    u64 written = 0;
    u64 carried = 0;
    wait_queue changed;
    // From taking a piece to handing it to the port: lines stay in order, and whoever drains the log
    // does not overlook the piece that the log's thread has taken and not written yet.
    mutex carrying;
    std::atomic<bool> to_port{false};
    std::atomic<log_level> shown{log_level::info};
};
constinit log_state state;

constexpr std::string_view level_words[] = {"error: ", "warning: ", "", "debug: "};

void keep(std::string_view line) {
    irq_guard guard(state.lock);
    for (const char byte : line) {
        state.ring[state.written++ % ring_size] = byte;
    }
}

// Copies what was not carried yet; lines that the ring has lost are skipped.
usize take_uncarried(std::span<char> to) {
    irq_guard guard(state.lock);
    if (state.written - state.carried > ring_size) {
        state.carried = state.written - ring_size;
    }
    const usize size = std::min<u64>(to.size(), state.written - state.carried);
    for (usize i = 0; i < size; ++i) {
        to[i] = state.ring[(state.carried + i) % ring_size];
    }
    state.carried += size;
    return size;
}

// A program that a signal ends drains the log with that signal pending, so a write may be interrupted.
void carry(std::span<const std::byte> piece) {
    byte_port& port = *the_console().log;
    while (!piece.empty()) {
        const result<usize> sent = port.write(piece, false);
        if (sent.ok()) {
            piece = piece.subspan(sent.value());
        } else if (sent.error() == err::intr) {
            port.drain();
        } else {
            return;
        }
    }
}

void carry_all() {
    char piece[512];
    lock_guard guard(state.carrying);
    while (const usize size = take_uncarried(piece)) {
        carry(std::as_bytes(std::span(piece, size)));
    }
}

void carry_forever(void*) {
    for (;;) {
        static_cast<void>(wait_until(
            state.changed, [] { return state.written != state.carried; }, never,
            wait_mode::uninterruptible));
        carry_all();
    }
}

}  // namespace

void log_line(log_level level, std::string_view pattern,
              std::span<const format_argument> arguments) {
    if (level > state.shown.load(std::memory_order_relaxed)) {
        return;
    }
    char line[longest_line];
    buffer_sink sink(std::span(line, longest_line - 1));
    const u64 time = now();
    format(sink, "kiln: [{:4}.{:06}] {}", time / ns_per_s, time % ns_per_s / ns_per_us,
           level_words[static_cast<usize>(level)]);
    format_arguments(sink, pattern, arguments);
    const usize size = sink.size();
    line[size] = '\n';
    keep({line, size + 1});
    if (state.to_port.load(std::memory_order_acquire)) {
        state.changed.wake();
    } else {
        serial_put({line, size + 1});
    }
}

void set_log_level(log_level shown) {
    state.shown.store(shown, std::memory_order_relaxed);
}

void start_log_port() {
    if (the_console().log == nullptr) {
        return;
    }
    {
        // What was logged so far is on the serial console.
        irq_guard guard(state.lock);
        state.carried = state.written;
    }
    state.to_port.store(true, std::memory_order_release);
    if (!start_kernel_thread("log", carry_forever, nullptr).ok()) {
        panic("no memory for the log's thread");
    }
}

void drain_log() {
    if (state.to_port.load(std::memory_order_acquire)) {
        carry_all();
        the_console().log->drain();
    }
}

}  // namespace kiln
