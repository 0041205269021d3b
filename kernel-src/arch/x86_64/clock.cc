// The TSC as a clock of nanoseconds since boot.
//
// The state is the page that the program's vDSO reads too (core/vdso_data.hh), under its sequence count;
// the only writer is clock_init, later clock_refine and after that step_realtime, on one CPU at a time.
// Where nobody tells the TSC's frequency it is measured twice: quickly at boot (half a millisecond, good
// to some per mille), then over the whole time since, which costs no waiting.
#include "arch/x86_64/clock.hh"

#include <algorithm>

#include "arch/x86_64/apic.hh"
#include "arch/x86_64/hypervisor.hh"
#include "arch/x86_64/kvm_clock.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/paging.hh"
#include "arch/x86_64/ports.hh"
#include "arch/x86_64/rtc.hh"
#include "arch/x86_64/xen.hh"
#include "core/clock.hh"
#include "core/clock_step.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/spinlock.hh"
#include "core/vdso_data.hh"
#include "drivers/acpi/acpi.hh"
#include "lib/bytes.hh"
#include "lib/scale.hh"
#include "lib/tsc_frequency.hh"

namespace kiln {
namespace {

// A counter of known frequency to measure against.
struct reference_counter {
    enum class kind : u8 { none, hpet, acpi_timer, pit };
    kind type = kind::none;
    volatile u64* hpet = nullptr;
    u16 port = 0;
    u64 mask = 0;
    u64 hertz = 0;

    u64 read() const;
};
constinit reference_counter reference;

// The TSC at the moment of a reading of another counter.
struct paired_reading {
    u64 tsc;
    u64 reference;
};
constinit paired_reading first_reading{};
constinit bool frequency_is_exact = false;
constinit bool wall_is_settled = false;

constexpr u64 acpi_timer_hertz = 3'579'545;
constexpr u64 pit_hertz = 1'193'182;
constexpr u64 quick_measure_ns = 500'000;

u64 reference_counter::read() const {
    switch (type) {
        case kind::hpet: return hpet[0xf0 / 8];
        case kind::acpi_timer: return in32(port);
        case kind::pit: {
            out8(0x43, 0x80);  // latch channel 2
            const u64 low = in8(0x42);
            return 0xffff - (low | u64{in8(0x42)} << 8);
        }
        case kind::none: break;
    }
    return 0;
}

bool use_hpet() {
    const u64 address = acpi::tables().hpet.address;
    if (address == 0) {
        return false;
    }
    result<void*> mapped = map_device(address, 1 * KiB);
    if (!mapped.ok()) {
        return false;
    }
    auto* registers = static_cast<volatile u64*>(mapped.value());
    const u64 capabilities = registers[0];
    const u64 period = capabilities >> 32;  // femtoseconds; IA-PC HPET 1.0a, 2.3.4
    if (period == 0 || period > 100'000'000) {
        return false;
    }
    registers[2] = registers[2] | 1;  // count
    reference = {.type = reference_counter::kind::hpet,
                 .hpet = registers,
                 .mask = (capabilities & 1u << 13) != 0 ? ~u64{0} : 0xffff'ffff,
                 .hertz = 1'000'000'000'000'000 / period};
    return true;
}

bool use_acpi_timer() {
    const acpi::fadt_information& fadt = acpi::tables().fadt;
    if (!fadt.pm_timer.present() || fadt.pm_timer.where != acpi::register_address::space::io) {
        return false;
    }
    reference = {.type = reference_counter::kind::acpi_timer,
                 .port = static_cast<u16>(fadt.pm_timer.address),
                 .mask = fadt.pm_timer_is_32_bits ? 0xffff'ffff : 0xff'ffff,
                 .hertz = acpi_timer_hertz};
    return true;
}

bool use_pit() {
    out8(0x61, static_cast<u8>((in8(0x61) & ~2u) | 1));  // gate on, speaker off
    out8(0x43, 0xb4);                                     // channel 2, both bytes, mode 2
    out8(0x42, 0xff);
    out8(0x42, 0xff);
    reference = {.type = reference_counter::kind::pit, .mask = 0xffff, .hertz = pit_hertz};
    return true;
}

// Whether it is there: a machine may have none of them, and one that does not exist reads the same for
// ever. The slowest ticks once in a microsecond, which is less than one reading takes.
bool reference_counts() {
    constexpr u32 most_readings = 10'000;
    const u64 first = reference.read();
    for (u32 i = 0; i < most_readings; ++i) {
        if (reference.read() != first) {
            return true;
        }
    }
    return false;
}

void choose_reference() {
    for (const auto use : {&use_hpet, &use_acpi_timer, &use_pit}) {
        if (use() && reference_counts()) {
            return;
        }
    }
    panic("the TSC's frequency is not known: neither the hypervisor nor CPUID tells it, and no HPET, "
          "ACPI timer or PIT counts");
}

// The tightest of a few readings of the TSC around the other counter: the host may take the CPU away
// between any two instructions, for as long as it likes.
template <class Counter>
paired_reading read_pair(Counter read_counter) {
    paired_reading best{};
    u64 best_width = ~u64{0};
    for (int i = 0; i < 3; ++i) {
        const u64 before = read_tsc();
        const u64 counted = read_counter();
        const u64 after = read_tsc();
        if (after - before < best_width) {
            best_width = after - before;
            best = {.tsc = before + (after - before) / 2, .reference = counted};
        }
    }
    return best;
}

paired_reading read_reference_pair() {
    return read_pair([] { return reference.read(); });
}

u64 reference_ns(const paired_reading& from, const paired_reading& to) {
    const u64 ticks = (to.reference - from.reference) & reference.mask;
    return multiply_divide(ticks, ns_per_s, reference.hertz);
}

// The same over any time: the counter may have wrapped, how often the clock's own measure of the time
// tells.
u64 unwrapped_ns(const paired_reading& from, const paired_reading& to) {
    const u64 counted = reference_ns(from, to);
    const u64 roughly = multiply_shift32(to.tsc - from.tsc, the_vdso_data().multiplier);
    if (reference.mask == ~u64{0} || roughly <= counted) {
        return counted;
    }
    const u64 wrap = multiply_divide(reference.mask + 1, ns_per_s, reference.hertz);
    return counted + (roughly - counted + wrap / 2) / wrap * wrap;
}

u64 multiplier_for(u64 ticks, u64 ns) {
    return multiply_divide(ns, u64{1} << 32, ticks);
}

u64 frequency_from_cpuid() {
    return tsc_frequency_by_cpuid([](u32 leaf) { return cpuid(leaf); });
}

// By whoever knows it; 0 where nobody does.
u64 told_frequency() {
    for (const auto ask : {&kvm_tsc_frequency, &xen::tsc_frequency, &frequency_from_cpuid}) {
        if (const u64 hertz = ask(); hertz != 0) {
            return hertz;
        }
    }
    return 0;
}

u64 told_wall_time() {
    const u64 by_kvm = kvm_wall_time();
    return by_kvm != 0 ? by_kvm : xen::wall_time();
}

// The multiplier has 32 bits of fraction.
void set_clock(u64 base_tsc, u64 base_ns, u64 multiplier) {
    const u64 saved = interrupts_save_and_disable();
    vdso_data& clock = the_vdso_data();
    begin_vdso_update(clock);
    clock.tsc_base = base_tsc;
    clock.monotonic_base = base_ns;
    clock.multiplier = multiplier;
    clock.use_tsc = 1;
    end_vdso_update(clock);
    interrupts_restore(saved);
}

void set_realtime_offset(u64 offset) {
    const u64 saved = interrupts_save_and_disable();
    begin_vdso_update(the_vdso_data());
    the_vdso_data().realtime_offset = offset;
    end_vdso_update(the_vdso_data());
    interrupts_restore(saved);
}

void measure_quickly() {
    choose_reference();
    first_reading = read_reference_pair();
    paired_reading last = first_reading;
    while (reference_ns(first_reading, last) < quick_measure_ns) {
        last = read_reference_pair();
    }
    set_clock(first_reading.tsc, 0,
              multiplier_for(last.tsc - first_reading.tsc, reference_ns(first_reading, last)));
}

// The APIC timer against the TSC, whose frequency is known now. The timer stops at the end of its 32
// bits, so what takes too long is measured again; but one that does not exist never counts.
void measure_apic_timer() {
    constexpr u64 shortest = quick_measure_ns / 2, longest = ns_per_s;
    constexpr u32 most_attempts = 100;
    u32 attempts = 0;
    const auto read_timer = [] { return read_pair([] { return u64{apic_timer_elapsed()}; }); };
    u64 passed = 0;
    u64 ticks = 0;
    do {
        if (++attempts > most_attempts) {
            panic("the local APIC's timer does not count");
        }
        apic_timer_count_freely();
        const paired_reading first = read_timer();
        do {
            const paired_reading last = read_timer();
            ticks = last.reference - first.reference;
            passed = multiply_shift32(last.tsc - first.tsc, the_vdso_data().multiplier);
        } while (passed < shortest);
    } while (passed > longest || ticks == 0);
    set_apic_timer_frequency(multiply_divide(ticks, ns_per_s, passed));
}

}  // namespace

u64 now() {
    u64 monotonic = 0;
    u64 realtime_offset = 0;
    static_cast<void>(read_vdso_clock(the_vdso_data(), monotonic, realtime_offset));
    return monotonic;
}

u64 realtime_now() {
    u64 monotonic = 0;
    u64 realtime_offset = 0;
    static_cast<void>(read_vdso_clock(the_vdso_data(), monotonic, realtime_offset));
    return monotonic + realtime_offset;
}

u64 tsc_at(u64 time) {
    const vdso_data& clock = the_vdso_data();
    const u64 ns = time - std::min(time, clock.monotonic_base);
    return clock.tsc_base + multiply_divide(ns, u64{1} << 32, clock.multiplier);
}

// Nanoseconds since the epoch by the battery clock. Its second has begun some time ago; how long,
// start_rtc_settling finds out. QEMU without KVM leaves out the part of a second at which it starts the
// machine, and the TSC, from 0: there the next second's beginning would say nothing, and half a second
// is nearest to what was left out.
static u64 battery_time() {
    const u64 whole = rtc_seconds() * ns_per_s;
    if (!on_emulator()) {
        return whole;
    }
    const u64 since_start = multiply_shift32(read_tsc(), the_vdso_data().multiplier);
    return whole + ns_per_s / 2 + since_start % ns_per_s;
}

void clock_init() {
    const u64 hertz = told_frequency();
    if (hertz != 0) {
        frequency_is_exact = true;
        set_clock(read_tsc(), 0, multiplier_for(hertz, ns_per_s));
    } else {
        measure_quickly();
    }
    measure_apic_timer();
    const u64 told = told_wall_time();
    wall_is_settled = told != 0 || on_emulator();
    set_realtime_offset((told != 0 ? told : battery_time()) - now());
}

bool realtime_is_settled() {
    return wall_is_settled;
}

void step_realtime(u64 offset) {
    const u64 before = the_vdso_data().realtime_offset;
    if (offset > before) {
        set_realtime_offset(offset);
        tell_of_step(offset - before);
    }
}

void clock_refine() {
    if (frequency_is_exact || reference.type == reference_counter::kind::pit) {
        return;
    }
    const paired_reading current = read_reference_pair();
    const u64 passed = unwrapped_ns(first_reading, current);
    const vdso_data& clock = the_vdso_data();
    set_clock(current.tsc,
              clock.monotonic_base +
                  multiply_shift32(current.tsc - clock.tsc_base, clock.multiplier),
              multiplier_for(current.tsc - first_reading.tsc, passed));
    frequency_is_exact = true;
}

}  // namespace kiln
