// The local APIC: interrupts between CPUs, end of interrupt, the one-shot timer.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Vectors of our own, above all that devices get. Of those of the two 8259s nothing is wanted.
namespace interrupt_vector {
inline constexpr u8 legacy = 0x20, first_device = 0x30, last_device = 0xdf, timer = 0xe0,
                    reschedule = 0xe1, flush_tlb = 0xe2, diagnostic = 0xe3, spurious = 0xff;
}

// Finds and maps the APIC (x2APIC where the CPU is in it or can be). Once, before cpu_apic_start.
void apic_init(u64 physical_address);
// Enables the calling CPU's APIC.
void cpu_apic_start();
u32 apic_id_here();
void end_of_interrupt();

void send_to_cpu(u32 cpu_number, u8 vector);
void send_to_all_others(u8 vector);
// To the calling CPU. From any context, an NMI in the middle of another command too.
void interrupt_self(u8 vector);
// INIT, then two start-up interrupts with the page number of the start code, to one APIC.
void send_init(u32 apic_id);
void send_startup(u32 apic_id, u8 page_number);

// The raw timer, for calibration: counts down from the largest value.
void apic_timer_count_freely();
u32 apic_timer_elapsed();
// Ticks a second of that timer, once it is known.
void set_apic_timer_frequency(u64 hertz);

}  // namespace kiln
