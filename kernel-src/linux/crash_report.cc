// kernel only: the report on a signal that ends the program: registers, where it was, how it got there.
// Everything is read by copies that do not fault, since the program's state may be anything.
#include "arch/x86_64/trap_frame.hh"
#include "core/log.hh"
#include "core/user.hh"
#include "linux/signal_state.hh"

namespace kiln {
namespace {

const char* signal_name(int signo) {
    switch (signo) {
    case signo::quit: return "SIGQUIT";
    case signo::ill: return "SIGILL";
    case signo::trap: return "SIGTRAP";
    case signo::abrt: return "SIGABRT";
    case signo::bus: return "SIGBUS";
    case signo::fpe: return "SIGFPE";
    case signo::segv: return "SIGSEGV";
    case signo::xcpu: return "SIGXCPU";
    case signo::xfsz: return "SIGXFSZ";
    case signo::sys: return "SIGSYS";
    default: return "signal";
    }
}

void print_registers(const trap_frame& f) {
    log_error("rip {:016x} rsp {:016x} rflags {:08x}", f.rip, f.rsp, f.rflags);
    log_error("rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}", f.rax, f.rbx, f.rcx, f.rdx);
    log_error("rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}", f.rsi, f.rdi, f.rbp, f.r8);
    log_error("r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}", f.r9, f.r10, f.r11, f.r12);
    log_error("r13 {:016x} r14 {:016x} r15 {:016x}", f.r13, f.r14, f.r15);
}

}  // namespace

void report_fatal_signal(const trap_frame& frame, const task& self, const signal_info& info) {
    log_error("{} ({}) ends the program: code {}, address {:x}, thread {} ({})",
              signal_name(info.signo), info.signo, info.code,
              (synchronous_signals & signal_bit(info.signo)) != 0 ? info.fault.address : 0, self.tid,
              static_cast<const char*>(self.comm));
    print_registers(frame);
}

}  // namespace kiln
