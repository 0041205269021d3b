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
    .globl syscall_entry, syscall_entry_on_stack, syscall_check, syscall_exit_jump, syscall_slow_exit
    .balign 64
syscall_entry:
    movq %rsp, %r11
    movq %gs:CPU_KERNEL_STACK, %rsp
syscall_entry_on_stack:
    pushq $KERNEL_DATA_SELECTOR
    pushq %r11
    pushfq
    pushq $KERNEL_CODE_SELECTOR
    pushq %rcx
    pushq %rax
    pushq $SYSCALL_VECTOR
    save_registers
    movq %rsp, %rdi
    call syscall_from_program
    testb %al, %al
    jne syscall_slow_exit
// From here to the jump is restarted when an interrupt comes between (trap.cc), so that work that
// arrives after the check is not missed.
syscall_check:
    movq %gs:CPU_CURRENT, %rcx
    cmpl $0, THREAD_WORK(%rcx)
    jne syscall_slow_exit
    movq FRAME_RAX(%rsp), %rax
    movq FRAME_RDI(%rsp), %rdi
    movq FRAME_RSI(%rsp), %rsi
    movq FRAME_RDX(%rsp), %rdx
    movq FRAME_R8(%rsp), %r8
    movq FRAME_R9(%rsp), %r9
    movq FRAME_R10(%rsp), %r10
    movq FRAME_RIP(%rsp), %rcx
    movq FRAME_RSP(%rsp), %rsp
syscall_exit_jump:
    jmp *%rcx

// Signals, preemption, or registers that were changed in the frame.
syscall_slow_exit:
    movq %rsp, %rdi
    call leave_to_program       // returns with interrupts off
    jmp restore_frame

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
