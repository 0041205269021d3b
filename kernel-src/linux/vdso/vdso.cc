// The vDSO: what the program's libc calls to read clocks without entering the kernel.
//
// A shared object of its own, mapped by the loader right after the page of vdso_data. No data, no
// relocations. What it cannot answer it asks by the system call of the same name.
#include "core/vdso_data.hh"

using namespace kiln;

// The page before the first of the vDSO; placed by vdso.ld.
extern "C" __attribute__((visibility("hidden"))) const vdso_data vdso_data_before;

namespace {

// CLOCK_* of the ABI (include/uapi/linux/time.h).
constexpr int clock_realtime = 0, clock_monotonic = 1, clock_monotonic_raw = 4,
              clock_realtime_coarse = 5, clock_monotonic_coarse = 6, clock_boottime = 7,
              clock_tai = 11;
constexpr u64 second = 1'000'000'000;

struct timespec {
    i64 seconds;
    i64 nanoseconds;
};
struct timeval {
    i64 seconds;
    i64 microseconds;
};
struct timezone {
    i32 minutes_west;
    i32 dst;
};

i64 system_call(i64 number, i64 a, void* b, void* c = nullptr) {
    i64 outcome = number;
    asm volatile("syscall"
                 : "+a"(outcome)
                 : "D"(a), "S"(b), "d"(c)
                 : "rcx", "r11", "memory");
    return outcome;
}

constexpr u32 realtime_clocks = 1u << clock_realtime | 1u << clock_realtime_coarse | 1u << clock_tai;
constexpr u32 known_clocks = realtime_clocks | 1u << clock_monotonic | 1u << clock_monotonic_raw |
                             1u << clock_monotonic_coarse | 1u << clock_boottime;

bool is_one_of(u32 clocks, int clock) {
    return static_cast<u32>(clock) < 32 && (clocks >> clock & 1) != 0;
}
bool is_realtime(int clock) {
    return is_one_of(realtime_clocks, clock);
}
bool is_known(int clock) {
    return is_one_of(known_clocks, clock);
}

}  // namespace

#define VDSO_EXPORT extern "C" __attribute__((visibility("default")))

VDSO_EXPORT int vdso_clock_gettime(int clock, timespec* to) {
    u64 monotonic = 0;
    u64 offset = 0;
    if (!is_known(clock) || !read_vdso_clock(vdso_data_before, monotonic, offset)) {
        constexpr i64 number = 228;
        return static_cast<int>(system_call(number, clock, to));
    }
    const u64 time = monotonic + (is_realtime(clock) ? offset : 0);
    to->seconds = static_cast<i64>(time / second);
    to->nanoseconds = static_cast<i64>(time % second);
    return 0;
}

VDSO_EXPORT int vdso_gettimeofday(timeval* to, timezone* zone) {
    u64 monotonic = 0;
    u64 offset = 0;
    if (!read_vdso_clock(vdso_data_before, monotonic, offset)) {
        constexpr i64 number = 96;
        return static_cast<int>(system_call(number, reinterpret_cast<i64>(to), zone));
    }
    if (to != nullptr) {
        const u64 time = monotonic + offset;
        to->seconds = static_cast<i64>(time / second);
        to->microseconds = static_cast<i64>(time % second / 1000);
    }
    if (zone != nullptr) {
        zone->minutes_west = static_cast<i32>(vdso_data_before.timezone_minutes_west);
        zone->dst = static_cast<i32>(vdso_data_before.timezone_dst);
    }
    return 0;
}

VDSO_EXPORT i64 vdso_time(i64* to) {
    u64 monotonic = 0;
    u64 offset = 0;
    if (!read_vdso_clock(vdso_data_before, monotonic, offset)) {
        constexpr i64 number = 201;
        return system_call(number, reinterpret_cast<i64>(to), nullptr);
    }
    const i64 seconds = static_cast<i64>((monotonic + offset) / second);
    if (to != nullptr) {
        *to = seconds;
    }
    return seconds;
}

VDSO_EXPORT int vdso_clock_getres(int clock, timespec* to) {
    if (!is_known(clock)) {
        constexpr i64 number = 229;
        return static_cast<int>(system_call(number, clock, to));
    }
    const bool coarse = clock == clock_realtime_coarse || clock == clock_monotonic_coarse;
    if (to != nullptr) {
        to->seconds = 0;
        to->nanoseconds = coarse ? 4'000'000 : 1;
    }
    return 0;
}

VDSO_EXPORT i64 vdso_getcpu(u32* cpu, u32* node, void* unused) {
    if (vdso_data_before.use_rdpid == 0) {
        constexpr i64 number = 309;
        return system_call(number, reinterpret_cast<i64>(cpu), node, unused);
    }
    u32 aux = 0;
    asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
    if (cpu != nullptr) {
        *cpu = aux & 0xfff;
    }
    if (node != nullptr) {
        *node = aux >> 12;
    }
    return 0;
}
