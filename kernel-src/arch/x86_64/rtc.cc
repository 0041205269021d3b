// Registers and interrupts: MC146818 data sheet.
//
// At boot only the seconds are read. The clock interrupts as a new second begins, and the interrupt
// handler notes when: so the wall clock is right to the interrupt's latency, and nothing waits for it.
// Lock: `ports_lock`, since a register is reached by two ports, also from the handler.
#include "arch/x86_64/rtc.hh"

#include "arch/x86_64/clock.hh"
#include "arch/x86_64/interrupts.hh"
#include "arch/x86_64/ports.hh"
#include "core/clock.hh"
#include "core/clock_step.hh"
#include "core/log.hh"
#include "core/spinlock.hh"
#include "core/thread.hh"
#include "core/wait_queue.hh"
#include "drivers/acpi/acpi.hh"

namespace kiln {
namespace {

constexpr u8 rtc_irq = 8;
namespace rtc_register {
constexpr u8 second = 0, minute = 2, hour = 4, day = 7, month = 8, year = 9, control = 0xb,
             cause = 0xc;
}
namespace control_bit {
constexpr u8 binary = 4, interrupt_at_second = 0x10;
}
constexpr u8 cause_second = 0x10;

// A second is looked for this long; the clock's own is the only one that comes with a number that is
// sure to be its, so what is noticed late is left for the next.
constexpr u64 patience = 2500 * ns_per_ms;
constexpr u64 too_late = 700 * ns_per_ms;

constinit irq_spinlock ports_lock;
constinit std::atomic<u64> second_began{0};  // nanoseconds since boot; 0: not yet
constinit wait_queue second_begins;

u8 read_register(u8 index) {
    irq_guard guard(ports_lock);
    out8(0x70, index);
    return in8(0x71);
}

void write_register(u8 index, u8 value) {
    irq_guard guard(ports_lock);
    out8(0x70, index);
    out8(0x71, value);
}

u64 from_bcd(u8 value, bool binary) {
    return binary ? value : value % 16 + value / 16 * 10;
}

u64 days_from_civil(u64 year, u64 month, u64 day) {
    // Years counted from March, so that the leap day comes last.
    const u64 shifted_year = month > 2 ? year : year - 1;
    const u64 shifted_month = (month + 9) % 12;
    const u64 day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    return shifted_year * 365 + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 +
           day_of_year - 719'468;
}

void on_second(void*) {
    const u64 time = now();
    if ((read_register(rtc_register::cause) & cause_second) != 0) {
        second_began.store(time, std::memory_order_release);
        second_begins.wake();
    }
}

bool hear_seconds() {
    const auto wiring = acpi::isa_interrupt(rtc_irq);
    const result<u32> vector = allocate_interrupt_vector(&on_second, nullptr, 0);
    return vector.ok() &&
           route_gsi(wiring.gsi, vector.value(), wiring.level, wiring.active_low, 0).ok();
}

void interrupt_at_seconds(bool wanted) {
    const u8 others = read_register(rtc_register::control) &
                      static_cast<u8>(~control_bit::interrupt_at_second);
    // What was noted before is no news.
    static_cast<void>(read_register(rtc_register::cause));
    write_register(rtc_register::control,
                   static_cast<u8>(others | (wanted ? control_bit::interrupt_at_second : 0)));
}

// When a second began whose number can be told; false when none does.
bool wait_for_second(u64& began, u64& seconds) {
    const u64 until = deadline_after(patience);
    const u64 before = rtc_seconds();
    for (;;) {
        second_began.store(0, std::memory_order_release);
        const auto come = [] { return second_began.load(std::memory_order_acquire) != 0; };
        if (!wait_until(second_begins, come, until, wait_mode::uninterruptible).ok()) {
            return false;
        }
        began = second_began.load(std::memory_order_acquire);
        seconds = rtc_seconds();
        if (seconds != before && now() - began < too_late) {
            return true;
        }
    }
}

void settle(void*) {
    u64 began = 0;
    u64 seconds = 0;
    interrupt_at_seconds(true);
    const bool found = wait_for_second(began, seconds);
    interrupt_at_seconds(false);
    if (found) {
        step_realtime(seconds * ns_per_s - began);
    } else {
        log_debug("rtc: tells no seconds; the wall clock may be a second late");
    }
}

}  // namespace

// Its registers change once a second; two equal readings are a good one.
u64 rtc_seconds() {
    struct reading {
        u8 second, minute, hour, day, month, year;
        bool operator==(const reading&) const = default;
    };
    auto read_all = [] {
        return reading{read_register(rtc_register::second), read_register(rtc_register::minute),
                       read_register(rtc_register::hour),   read_register(rtc_register::day),
                       read_register(rtc_register::month),  read_register(rtc_register::year)};
    };
    reading value = read_all();
    for (reading again = read_all(); !(again == value); again = read_all()) {
        value = again;
    }
    const bool binary = (read_register(rtc_register::control) & control_bit::binary) != 0;
    const u64 days = days_from_civil(2000 + from_bcd(value.year, binary),
                                     from_bcd(value.month, binary), from_bcd(value.day, binary));
    return days * 86'400 + from_bcd(value.hour & 0x7f, binary) * 3600 +
           from_bcd(value.minute, binary) * 60 + from_bcd(value.second, binary);
}

void start_rtc_settling() {
    if (!realtime_is_settled() && hear_seconds() &&
        !start_kernel_thread("rtc", settle, nullptr).ok()) {
        log_warning("rtc: no memory for the thread that sets the wall clock");
    }
}

}  // namespace kiln
