// The way into the kernel and back: system calls, exceptions, interrupts, and the thread switch.
//
// Everything runs in ring 0, so the CPU never switches stacks by privilege: exceptions and interrupts
// enter on IST stacks with interrupts off, and the frame is moved at once, so that the 128 bytes below
// a program's rsp are never touched and the IST stack is free again:
//   interrupted program -> top of the thread's kernel stack
//   interrupted kernel  -> just below its rsp (the kernel has no red zone)
// A few instructions here run in the kernel with the program's rsp; they count as the program
// (is_boundary in trap.cc mends the frame).

#include "arch/x86_64/offsets.h"

// The general registers of a trap_frame, above what the CPU or syscall_entry has pushed.
.macro save_registers
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
.endm
.macro restore_registers
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
.endm

    .text

// ---- system calls ----
// rcx = return address; rflags are masked by FMASK but for IF. rcx and r11 are lost, all else is kept.
//
// Most calls need of the program's registers only their arguments: only these are stored and loaded
// again. C++ keeps rbx, rbp and r12 to r15, so they are still the program's when the call has ended,
// and go into the frame only when somebody is to see all of it (syscall_slow_exit). A call that reads or
// writes the whole frame stands in the table as syscall_with_frame.

// The kept registers, and what is the same in all frames of system calls; rcx and r11 as Linux shows them.
.macro complete_frame
    movq %rbx, FRAME_RBX(%rsp)
    movq %rbp, FRAME_RBP(%rsp)
    movq %r12, FRAME_R12(%rsp)
    movq %r13, FRAME_R13(%rsp)
    movq %r14, FRAME_R14(%rsp)
    movq %r15, FRAME_R15(%rsp)
    movq $SYSCALL_VECTOR, FRAME_VECTOR(%rsp)
    movq $KERNEL_CODE_SELECTOR, FRAME_CS(%rsp)
    movq $KERNEL_DATA_SELECTOR, FRAME_SS(%rsp)
    movq FRAME_RIP(%rsp), %rcx
    movq %rcx, FRAME_RCX(%rsp)
    movq FRAME_RFLAGS(%rsp), %r11
    movq %r11, FRAME_R11(%rsp)
.endm
.macro load_arguments
    movq FRAME_RDI(%rsp), %rdi
    movq FRAME_RSI(%rsp), %rsi
    movq FRAME_RDX(%rsp), %rdx
    movq FRAME_R8(%rsp), %r8
    movq FRAME_R9(%rsp), %r9
    movq FRAME_R10(%rsp), %r10
.endm

    .globl syscall_entry, syscall_entry_on_stack, syscall_check, syscall_exit_jump, syscall_with_frame
    .balign 64
syscall_entry:
    movq %rsp, %r11
    movq %gs:CPU_PROGRAM_FRAME, %rsp
syscall_entry_on_stack:
    movq %r11, FRAME_RSP(%rsp)
    movq %rcx, FRAME_RIP(%rsp)
    movq %rax, FRAME_ERROR(%rsp)
    movq %rdi, FRAME_RDI(%rsp)
    movq %rsi, FRAME_RSI(%rsp)
    movq %rdx, FRAME_RDX(%rsp)
    movq %r8, FRAME_R8(%rsp)
    movq %r9, FRAME_R9(%rsp)
    movq %r10, FRAME_R10(%rsp)
    pushfq
    popq FRAME_RFLAGS(%rsp)
    testb $INTERRUPT_FLAG_IN_BYTE_1, FRAME_RFLAGS + 1(%rsp)
    jz syscall_without_interrupts
syscall_call:
    movl %eax, %eax             // Linux looks at eax only
    cmpq $SYSCALL_LIMIT, %rax
    jae syscall_of_no_table
    movq %r10, %rcx
    call *syscall_targets(, %rax, 8)
// From here to the jump is restarted when an interrupt comes between (trap.cc), so that work that
// arrives after the check is not missed.
syscall_check:
    movq %gs:CPU_CURRENT, %rcx
    cmpl $0, THREAD_WORK(%rcx)
    jne syscall_slow_exit
    load_arguments
    movq FRAME_RIP(%rsp), %rcx
    movq FRAME_RSP(%rsp), %rsp
syscall_exit_jump:
    jmp *%rcx

// Signals and preemption. rax = the result; the kept registers are the program's.
syscall_slow_exit:
    movq %rax, FRAME_RAX(%rsp)
    complete_frame
syscall_leave:
    movq %rsp, %rdi
    call leave_to_program       // returns with interrupts off
    jmp restore_frame

// Not called from the table but jumped to in its place: the return address goes.
syscall_with_frame:
    addq $8, %rsp
syscall_of_no_table:
    movq FRAME_ERROR(%rsp), %rax
    movq %rax, FRAME_RAX(%rsp)
    complete_frame
    movq %rsp, %rdi
    call dispatch_syscall       // the result is in the frame
    jmp syscall_leave

// The program has switched them off: it could not, on Linux.
syscall_without_interrupts:
    movq %rsp, %rdi
    call take_syscall_interrupts_back
    load_arguments
    movq FRAME_ERROR(%rsp), %rax
    jmp syscall_call

// ---- exceptions and interrupts ----
    .balign 16
trap_common:
    save_registers
    movq %rsp, %rdi
    call choose_trap_stack      // rax = where the frame goes, 0 = stays (NMI, double fault …)
    testq %rax, %rax
    je 1f
    .set offset, 0
    .rept FRAME_SIZE / 8
    movq offset(%rsp), %rcx
    movq %rcx, offset(%rax)
    .set offset, offset + 8
    .endr
    movq %rax, %rsp
1:  movq %rsp, %rdi
    movq FRAME_RBP(%rsp), %rbp
    call handle_trap            // returns with interrupts off
    .globl restore_frame
restore_frame:
    restore_registers
    addq $16, %rsp
    .globl trap_return
trap_return:
    iretq

    .globl trap_stubs
    .balign 16
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

// ---- threads ----
// void switch_stacks(u64* save_rsp /* rdi */, u64 next_rsp /* rsi */)
    .globl switch_stacks
switch_stacks:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

// First instructions of a kernel thread: r12 = entry, r13 = argument.
    .globl kernel_thread_start
kernel_thread_start:
    call finish_switch
    sti
    movq %r13, %rdi
    call *%r12
    call exit_kernel_thread
    ud2

// First instructions of an application thread: its frame is on top of its kernel stack.
    .globl user_thread_start
user_thread_start:
    call finish_switch
    movq %rsp, %rdi
    call leave_to_program
    jmp restore_frame

    .section .note.GNU-stack, "", @progbits
