// What core/ needs of the machine. Everything here is implemented in arch/x86_64 and would be for
// another CPU.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

class thread;
struct cpu;

// ---- interrupts and time ----
// Sets this CPU's one-shot timer unless it is already set for something earlier. Interrupts off, or
// the caller does not care on which CPU.
void arm_local_timer(u64 deadline);
// Makes another CPU look at its run queue.
void send_reschedule(u32 cpu_number);
// Called from its interrupt: by core/timer.cc and core/sched.cc.
void run_expired_timers();
u64 next_timer_deadline();
void reschedule_asked_from_afar();
// For core/tick.cc: how many interrupts another CPU has taken.
u32 interrupts_taken_by(u32 cpu_number);
// Has another CPU stop, when all are to, or see whether it can still take interrupts.
void send_nmi_to_cpu(u32 cpu_number);
// Waits for an interrupt unless `ready(argument)`; the test and the wait are one step.
void halt_until_interrupt(bool (*ready)(void*), void* argument);

// ---- threads ----
// Everything of a thread but its stack: current pointer, kernel stack slot, FS, vector registers.
// Interrupts off.
void switch_machine_state(cpu& me, thread& previous, thread& next);
// A new area with a copy of the current thread's vector registers (the initial state for a kernel
// thread's).
result<std::byte*> copy_vector_area();
void release_vector_area(std::byte* area);
// The thread ends: nobody will want its registers.
void forget_vector_owner(thread& ended);

// ---- kernel mappings ----
enum class kernel_mapping : u8 { data, read_only, device };
// Address space for `size` bytes, page aligned, not mapped. Never given back.
result<u64> reserve_dynamic(usize size);
result<void> map_kernel_page(u64 address, u64 physical, kernel_mapping kind);

}  // namespace kiln
