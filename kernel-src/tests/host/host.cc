// The host's stand-in for what arch and the scheduler provide: threads and park on pthreads, the
// clock, user memory (the test's own), the log, panics. Tests may move the clock by hand.
#include "tests/host/host.hh"

#include <sched.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/park.hh"
#include "core/spinlock.hh"
#include "core/thread.hh"
#include "core/user.hh"
#include "drivers/dma.hh"

namespace kiln {

class thread {
public:
    std::mutex lock;
    std::condition_variable changed;
    bool permit = false;
    std::atomic<bool> interrupted{false};
};

namespace {

std::atomic<u64> manual_time{0};
std::atomic<bool> manual{false};
std::atomic<u64> yields{0};

u64 clock_ns(clockid_t id) {
    timespec t{};
    clock_gettime(id, &t);
    return static_cast<u64>(t.tv_sec) * ns_per_s + static_cast<u64>(t.tv_nsec);
}

bool permit_or_interrupt(thread& self, bool interruptible) {
    return self.permit || (interruptible && self.interrupted.load());
}

void park_on_host(u64 deadline, bool interruptible) {
    thread& self = current_thread();
    std::unique_lock hold(self.lock);
    auto ready = [&] { return permit_or_interrupt(self, interruptible); };
    if (deadline == never) {
        self.changed.wait(hold, ready);
    } else {
        const u64 start = now();
        const u64 left = deadline > start ? deadline - start : 0;
        self.changed.wait_for(hold, std::chrono::nanoseconds(left), ready);
    }
    self.permit = false;
}

bool valid_user_range(u64 address, usize size) {
    return address >= page_size && address <= user_end && size <= user_end - address;
}

}  // namespace

namespace host {

void set_time(u64 ns) {
    manual = true;
    manual_time = ns;
}

void advance_time(u64 ns) {
    manual = true;
    manual_time += ns;
}

void use_real_time() {
    manual = false;
}

u64 yield_count() {
    return yields.load(std::memory_order_relaxed);
}

void interrupt(thread& target) {
    target.interrupted = true;
    std::lock_guard hold(target.lock);
    target.changed.notify_all();
}

void clear_interrupt() {
    current_thread().interrupted = false;
}

}  // namespace host

u64 now() {
    return manual ? manual_time.load() : clock_ns(CLOCK_MONOTONIC);
}

u64 realtime_now() {
    return clock_ns(CLOCK_REALTIME);
}

thread& current_thread() {
    static thread_local thread self;
    return self;
}

void park(u64 deadline) {
    park_on_host(deadline, false);
}

void park_interruptible(u64 deadline) {
    park_on_host(deadline, true);
}

void unpark(thread& sleeper) {
    std::lock_guard hold(sleeper.lock);
    sleeper.permit = true;
    sleeper.changed.notify_all();
}

bool interrupted() {
    return current_thread().interrupted;
}

void yield() {
    yields.fetch_add(1, std::memory_order_relaxed);
    sched_yield();
}

u64 interrupts_save_and_disable() {
    return 0;
}

void interrupts_restore(u64) {}

void cpu_relax() {
    sched_yield();
}

u32 this_cpu() {
    return 0;
}

u32 cpu_count() {
    return 1;
}

result<thread*> start_kernel_thread(std::string_view, void (*entry)(void*), void* argument, u32) {
    std::thread(entry, argument).detach();
    return static_cast<thread*>(nullptr);
}

result<void> copy_from_user(void* to, u64 from, usize size) {
    return copy_from_user_partial(to, from, size) == size ? result<void>() : err::fault;
}

result<void> copy_to_user(u64 to, const void* from, usize size) {
    return copy_to_user_partial(to, from, size) == size ? result<void>() : err::fault;
}

result<void> clear_user(u64 to, usize size) {
    if (!valid_user_range(to, size)) {
        return err::fault;
    }
    std::memset(reinterpret_cast<void*>(to), 0, size);
    return {};
}

usize copy_from_user_partial(void* to, u64 from, usize size) {
    if (!valid_user_range(from, size)) {
        return 0;
    }
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    return size;
}

usize copy_to_user_partial(u64 to, const void* from, usize size) {
    if (!valid_user_range(to, size)) {
        return 0;
    }
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return size;
}

usize copy_from_user_nofault(void* to, u64 from, usize size) {
    return copy_from_user_partial(to, from, size);
}

usize copy_to_user_nofault(u64 to, const void* from, usize size) {
    return copy_to_user_partial(to, from, size);
}

result<string> copy_string_from_user(u64 from, usize limit) {
    if (!valid_user_range(from, 1)) {
        return err::fault;
    }
    const char* text = reinterpret_cast<const char*>(from);
    const usize length = strnlen(text, limit + 1);
    if (length > limit) {
        return err::nametoolong;
    }
    return string::copy({text, length});
}

// Devices simulated in tests use addresses as they are.
u64 dma_address(const void* memory) {
    return reinterpret_cast<u64>(memory);
}

std::byte* dma_memory(u64 address) {
    return reinterpret_cast<std::byte*>(address);
}

void log_line(log_level, std::string_view pattern, std::span<const format_argument> arguments) {
    char text[512];
    buffer_sink sink(text);
    format_arguments(sink, pattern, arguments);
    std::fprintf(stderr, "%.*s\n", static_cast<int>(sink.size()), text);
}

void set_log_level(log_level) {}

void panic_line(std::string_view pattern, std::span<const format_argument> arguments) {
    log_line(log_level::error, pattern, arguments);
    std::abort();
}

void assertion_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    std::abort();
}

}  // namespace kiln
