// Where exceptions and interrupts arrive in C++, after entry.S has moved their frames. See entry.S for
// the stacks and for the boundary instructions.
//
// Context: handle_trap is entered with interrupts off. Exceptions of the program, and faults of user
// copies in the kernel, are handled with interrupts on and may sleep; device interrupts stay off.
#include "arch/x86_64/trap.hh"

#include <algorithm>

#include "arch/x86_64/apic.hh"
#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/interrupts.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/privileged.hh"
#include "arch/x86_64/smp.hh"
#include "core/console.hh"
#include "core/log.hh"
#include "core/sched.hh"
#include "linux/entry.hh"
#include "linux/signal.hh"
#include "mm/fault.hh"

extern "C" {
extern char syscall_entry_on_stack[], syscall_check[], syscall_exit_jump[];
void syscall_entry();
struct exception_range {
    kiln::u64 start, end, fixup;
};
extern const exception_range exception_table_start[], exception_table_end[];
}

namespace kiln {

void answer_flush_request();

namespace {

namespace exception {
constexpr u64 divide = 0, debug = 1, nmi = 2, breakpoint = 3, invalid_opcode = 6, double_fault = 8,
              stack_segment = 12, page_fault = 14, x87 = 16, alignment = 17, machine_check = 18,
              simd = 19;
}

constexpr u64 syscall_instruction_length = 2;
constexpr u64 flag_trap = 1u << 8;
// Linux's programs run in ring 3 and see that bit in the error code of a page fault.
constexpr u64 user_access = 4;

struct device_interrupt {
    interrupt_handler handler = nullptr;
    void* context = nullptr;
};
constinit device_interrupt handlers[256]{};
constinit irq_spinlock handlers_lock;
constinit u32 next_vector = interrupt_vector::first_device;

u64 address_of(const void* symbol) {
    return reinterpret_cast<u64>(symbol);
}

// Entry and exit have instructions that run with the program's rsp: the frame is made one of the
// program itself, before its `syscall` or after it.
void mend_boundary(trap_frame& frame) {
    if (frame.rip >= reinterpret_cast<u64>(&syscall_entry) &&
        frame.rip < address_of(syscall_entry_on_stack)) {
        frame.rip = frame.rcx - syscall_instruction_length;
    } else if (frame.rip == address_of(syscall_exit_jump)) {
        frame.rip = frame.rcx;
    }
}

bool on_ist_stack(u64 address) {
    const cpu& me = this_cpu_block();
    for (u32 slot = 0; slot < ist::count; ++slot) {
        const u64 top = me.tss.ist[slot];
        if (address <= top && address > top - 8 * KiB) {
            return true;
        }
    }
    return false;
}

bool apply_fixup(trap_frame& frame) {
    for (const exception_range* range = exception_table_start; range != exception_table_end; ++range) {
        if (frame.rip >= range->start && frame.rip < range->end) {
            frame.rip = range->fixup;
            return true;
        }
    }
    return false;
}

bool has_fixup(const trap_frame& frame) {
    for (const exception_range* range = exception_table_start; range != exception_table_end; ++range) {
        if (frame.rip >= range->start && frame.rip < range->end) {
            return true;
        }
    }
    return false;
}

[[noreturn]] void die(const trap_frame& frame, u64 address) {
    static constexpr std::string_view names[] = {
        "divide error", "debug exception", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode",
        "no device", "double fault", "", "invalid TSS", "segment not present", "stack fault",
        "general protection", "page fault", "", "x87 error", "alignment check", "machine check",
        "SIMD error"};
    disable_interrupts();
    serial_put("\n");
    print_frame(frame);
    panic("{} in the kernel at {:x}, error {:x}, address {:x}",
          frame.vector < std::size(names) ? names[frame.vector] : "exception", frame.rip, frame.error,
          address);
}

fault_access access_of(u64 error) {
    if ((error & page_fault_error::fetch) != 0) {
        return fault_access::execute;
    }
    return (error & page_fault_error::write) != 0 ? fault_access::write : fault_access::read;
}

// What a fault that could not be repaired is to the program.
void signal_page_fault(trap_frame& frame, u64 address, err why) {
    namespace codes = si_code;
    int signal = signo::segv;
    int code = codes::segv_maperr;
    if (why == err::acces) {
        code = codes::segv_accerr;
    } else if (why == err::range || why == err::io) {
        signal = signo::bus;
        code = codes::bus_adrerr;
    } else if (why == err::nomem) {
        log_error("out of memory: the program is ended (fault at {:x})", address);
        kill_process(signo::kill);
        return;
    }
    force_fault_signal(frame, signal, code, address, exception::page_fault, frame.error | user_access);
}

void page_fault(trap_frame& frame) {
    const u64 address = read_cr2();
    const bool program = from_program(frame);
    if (!program && (address >= user_end || !has_fixup(frame))) {
        die(frame, address);
    }
    thread& self = current_thread();
    if (!program && (self.faults_disabled != 0 || (frame.rflags & flag_interrupts) == 0)) {
        apply_fixup(frame);
        return;
    }
    enable_interrupts();
    const u64 before = switches_of(self);
    const result<void> outcome =
        address >= user_end ? err::fault : handle_user_fault(address, access_of(frame.error));
    if (program && switches_of(self) != before) {
        note_preemption(*self.linux_task);
    }
    if (outcome.ok()) {
        return;
    }
    if (program) {
        signal_page_fault(frame, address, outcome.error());
    } else {
        apply_fixup(frame);
    }
}

struct exception_signal {
    int signal;
    int code;
};

exception_signal signal_of(const trap_frame& frame) {
    switch (frame.vector) {
        case exception::divide: return {signo::fpe, si_code::fpe_intdiv};
        case exception::debug: return {signo::trap, si_code::trap_brkpt};
        case exception::breakpoint: return {signo::trap, si_code::kernel};
        case exception::invalid_opcode: return {signo::ill, si_code::ill_illopn};
        case exception::stack_segment: return {signo::bus, si_code::kernel};
        case exception::x87:
        case exception::simd: return {signo::fpe, si_code::fpe_fltinv};
        case exception::alignment: return {signo::bus, si_code::bus_adraln};
        default: return {signo::segv, si_code::kernel};
    }
}

void program_exception(trap_frame& frame) {
    const exception_signal what = signal_of(frame);
    const bool has_address = frame.vector == exception::divide ||
                             frame.vector == exception::invalid_opcode ||
                             frame.vector == exception::debug || frame.vector == exception::x87 ||
                             frame.vector == exception::simd;
    force_fault_signal(frame, what.signal, what.code, has_address ? frame.rip : 0, frame.vector,
                       frame.error);
}

// An NMI that no CPU sent is the operator's: "inject-nmi" of QEMU, a cloud's diagnostic interrupt, a
// button. All CPUs may get it, so the first one acts on it. No lock can be taken here, so what is to
// be done is left to an interrupt.
void note_foreign_nmi() {
    cpu& me = this_cpu_block();
    if (!me.nmi_asked.exchange(false, std::memory_order_acq_rel) && me.number == 0) {
        interrupt_self(interrupt_vector::diagnostic);
    }
}

void answer_operator() {
    log_info("an NMI from outside: SIGQUIT to the program");
    send_process_signal(signo::quit);
}

void handle_exception(trap_frame& frame) {
    if (from_program(frame) && !current_thread().is_user) {
        die(frame, read_cr2());  // a kernel thread jumped below its half
    }
    if (frame.vector == exception::nmi) {
        answer_nmi();
        answer_watch(frame);
        note_foreign_nmi();
        return;
    }
    if (from_program(frame) && (frame.rflags & flag_interrupts) == 0) {
        take_interrupts_back(frame);
    }
    if (frame.vector == exception::page_fault) {
        page_fault(frame);
        return;
    }
    if (frame.vector == exception::debug && !from_program(frame)) {
        // The program single-stepped into a system call.
        frame.rflags &= ~flag_trap;
        return;
    }
    if (!from_program(frame) || frame.vector == exception::double_fault ||
        frame.vector == exception::machine_check) {
        die(frame, 0);
    }
    enable_interrupts();
    program_exception(frame);
}

void handle_interrupt(trap_frame& frame) {
    cpu& me = this_cpu_block();
    me.in_interrupt = true;
    me.interrupts_taken.store(me.interrupts_taken.load(std::memory_order_relaxed) + 1,
                              std::memory_order_relaxed);
    note_halt(frame);
    switch (frame.vector) {
        case interrupt_vector::timer:
            me.timer_armed = never;
            run_expired_timers();
            slice_expired();
            arm_local_timer(std::min({next_timer_deadline(), me.queue.slice_end,
                                      run_tick(me, from_program(frame))}));
            break;
        case interrupt_vector::reschedule:
            reschedule_asked_from_afar();
            break;
        case interrupt_vector::flush_tlb:
            answer_flush_request();
            break;
        case interrupt_vector::diagnostic:
            answer_operator();
            break;
        case interrupt_vector::spurious:
            me.in_interrupt = false;
            return;
        default:
            if (handlers[frame.vector].handler != nullptr) {
                handlers[frame.vector].handler(handlers[frame.vector].context);
            }
    }
    end_of_interrupt();
    me.in_interrupt = false;
}

// A system call is in no restartable sequence that others could have disturbed.
void let_others_run(thread& self, const trap_frame& frame) {
    const u64 before = switches_of(self);
    schedule();
    leave_forbidden_cpu();
    if (frame.vector != syscall_vector && switches_of(self) != before) {
        note_preemption(*self.linux_task);
    }
}

}  // namespace

// Where the frame on an IST stack is moved to, or 0 to leave it there. Interrupts are off.
extern "C" u64 choose_trap_stack(trap_frame& frame) {
    mend_boundary(frame);
    if (frame.vector == exception::nmi || frame.vector == exception::double_fault ||
        frame.vector == exception::machine_check) {
        return 0;
    }
    if (from_program(frame)) {
        return this_cpu_block().program_frame;
    }
    if (on_ist_stack(frame.rsp)) {
        return 0;
    }
    return align_down(frame.rsp, 16) - sizeof(trap_frame);
}

// Work before going back to the program; returns with interrupts off and nothing left to do.
extern "C" void leave_to_program(trap_frame& frame) {
    thread& self = current_thread();
    for (;;) {
        disable_interrupts();
        const u32 work = self.work.load(std::memory_order_acquire);
        if (work == 0) {
            return;
        }
        enable_interrupts();
        if ((work & thread_work::return_work) != 0) {
            settle_privileged(frame);
        }
        if ((work & thread_work::reschedule) != 0) {
            let_others_run(self, frame);
        }
        if ((work & (thread_work::interrupted | thread_work::return_work)) != 0) {
            self.work.fetch_and(~thread_work::return_work, std::memory_order_relaxed);
            user_return_work(frame);
        }
    }
}

extern "C" void handle_trap(trap_frame& frame) {
    if (frame.vector < 32) {
        handle_exception(frame);
    } else {
        handle_interrupt(frame);
    }
    if (from_program(frame) && frame.vector != exception::nmi) {
        leave_to_program(frame);
        return;
    }
    disable_interrupts();
    if (frame.rip >= address_of(syscall_check) && frame.rip < address_of(syscall_exit_jump)) {
        frame.rip = address_of(syscall_check);
    }
}

extern "C" void take_syscall_interrupts_back(trap_frame& frame) {
    take_interrupts_back(frame);
    enable_interrupts();
}

result<u32> allocate_interrupt_vector(interrupt_handler handler, void* context, u32) {
    irq_guard guard(handlers_lock);
    if (next_vector > interrupt_vector::last_device) {
        return err::nospc;
    }
    handlers[next_vector] = {.handler = handler, .context = context};
    return next_vector++;
}

void halt_until_interrupt(bool (*ready)(void*), void* argument) {
    disable_interrupts();
    if (ready(argument)) {
        enable_interrupts();
        return;
    }
    asm volatile("sti; hlt" : : : "memory");
}

}  // namespace kiln
