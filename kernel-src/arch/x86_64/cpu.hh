// What each CPU has of its own, reached through GS; its descriptor tables and stacks for interrupts.
//
// Everything here belongs to one CPU, which alone writes it, except what is atomic.
#pragma once

#include <atomic>

#include "arch/x86_64/offsets.h"
#include "core/sched.hh"
#include "core/tick.hh"
#include "lib/types.hh"

namespace kiln {

// Task-state segment (Intel SDM vol. 3, 8.7): only its interrupt-stack table is used.
struct [[gnu::packed]] task_state {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3;
    u16 io_map_base;
};
static_assert(sizeof(task_state) == 104);

// Interrupt-stack table slots.
namespace ist {
inline constexpr u8 nmi = 1, double_fault = 2, machine_check = 3, debug = 4, fault = 5, interrupt = 6;
inline constexpr u8 count = 6;
}

struct cpu {
    cpu* self;
    thread* current;
    u64 program_frame;  // of the current thread, at the top of its kernel stack: where its registers go
    u32 number;
    u32 apic_id;
    // The thread whose vector registers are in this CPU, null when nobody's.
    thread* vector_owner;
    u64 timer_armed;       // deadline for which the local timer is set
    bool in_interrupt;
    run_queue queue;
    tick_state tick;
    std::atomic<u32> interrupts_taken;
    // Another CPU has sent, or will send at once, an NMI here.
    std::atomic<bool> nmi_asked;
    // The same when the last NMI found interrupts off in the kernel, and how many did in a row.
    u32 taken_at_nmi;
    u32 nmis_in_a_row;
    std::atomic<u64> flush_done;
    u64 gdt[8];
    task_state tss;
};

inline cpu& this_cpu_block() {
    cpu* self;
    asm volatile("mov %%gs:0, %0" : "=r"(self));
    return *self;
}

cpu& cpu_block(u32 number);

// Loads descriptor tables, GS, system-call registers and control registers of the calling CPU.
// cpu_prepare allocates what it needs and is called first, by the boot CPU.
void cpu_prepare(u32 number, u32 apic_id);
void cpu_load(u32 number);

// How many CPUs are running; only smp.cc raises it.
void set_cpu_count(u32 count);

}  // namespace kiln
