// Copies that may fault on the program's side. Each returns how many bytes were NOT copied.
//
// At every instruction rdi, rsi and rdx (bytes left) are exact up to the last finished block; a fault
// in the block loop goes on byte by byte from there, a fault in the byte loop ends it.
// Plain moves, not `rep movs`: those are far slower on emulators and no faster for short copies.

.macro fault_goes_to start, end, fixup
    .pushsection .exception_table, "a"
    .quad \start, \end, \fixup
    .popsection
.endm

    .text
// usize user_copy(void* to /* rdi */, const void* from /* rsi */, usize size /* rdx */)
    .globl user_copy
    .balign 16
user_copy:
    cmpq $64, %rdx
    jb 3f
2:  movq (%rsi), %rax
    movq 8(%rsi), %rcx
    movq 16(%rsi), %r8
    movq 24(%rsi), %r9
    movq %rax, (%rdi)
    movq %rcx, 8(%rdi)
    movq %r8, 16(%rdi)
    movq %r9, 24(%rdi)
    movq 32(%rsi), %rax
    movq 40(%rsi), %rcx
    movq 48(%rsi), %r8
    movq 56(%rsi), %r9
    movq %rax, 32(%rdi)
    movq %rcx, 40(%rdi)
    movq %r8, 48(%rdi)
    movq %r9, 56(%rdi)
    addq $64, %rsi
    addq $64, %rdi
    subq $64, %rdx
    cmpq $64, %rdx
    jae 2b
3:  cmpq $8, %rdx
    jb 5f
4:  movq (%rsi), %rax
    movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rdx
    cmpq $8, %rdx
    jae 4b
5:  testq %rdx, %rdx
    je 7f
6:  movb (%rsi), %al
    movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jne 6b
7:  movq %rdx, %rax
    ret
    fault_goes_to 2b, 5b, 5b
    fault_goes_to 6b, 7b, 7b

// usize user_clear(void* to /* rdi */, usize size /* rsi */)
    .globl user_clear
    .balign 16
user_clear:
    xorl %eax, %eax
    cmpq $32, %rsi
    jb 3f
2:  movq %rax, (%rdi)
    movq %rax, 8(%rdi)
    movq %rax, 16(%rdi)
    movq %rax, 24(%rdi)
    addq $32, %rdi
    subq $32, %rsi
    cmpq $32, %rsi
    jae 2b
3:  testq %rsi, %rsi
    je 5f
4:  movb %al, (%rdi)
    incq %rdi
    decq %rsi
    jne 4b
5:  movq %rsi, %rax
    ret
    fault_goes_to 2b, 3b, 3b
    fault_goes_to 4b, 5b, 5b

// isize user_string_length(const char* at /* rdi */, usize limit /* rsi */): length before the NUL,
// `limit` when there is none, -1 after a fault.
    .globl user_string_length
    .balign 16
user_string_length:
    xorl %eax, %eax
1:  cmpq %rsi, %rax
    je 3f
2:  cmpb $0, (%rdi, %rax)
    je 3f
    incq %rax
    jmp 1b
3:  ret
4:  movq $-1, %rax
    ret
    fault_goes_to 2b, 3b, 4b

// Atomic words. eax = what was found; edx = 0, or 1 after a fault.
// struct { u32 value, faulted } user_load(u64 address /* rdi */)
    .globl user_load, user_exchange, user_compare_exchange
user_load:
    xorl %edx, %edx
1:  movl (%rdi), %eax
2:  shlq $32, %rdx
    orq %rdx, %rax
    ret
3:  xorl %eax, %eax
    movl $1, %edx
    jmp 2b
    fault_goes_to 1b, 2b, 3b

// … user_exchange(u64 address /* rdi */, u32 value /* esi */)
user_exchange:
    xorl %edx, %edx
1:  xchgl %esi, (%rdi)
2:  movl %esi, %eax
    shlq $32, %rdx
    orq %rdx, %rax
    ret
3:  movl $1, %edx
    jmp 2b
    fault_goes_to 1b, 2b, 3b

// … user_compare_exchange(u64 address /* rdi */, u32 expected /* esi */, u32 desired /* edx */)
user_compare_exchange:
    movl %edx, %ecx
    xorl %edx, %edx
    movl %esi, %eax
1:  lock cmpxchgl %ecx, (%rdi)
2:  movl %eax, %eax
    shlq $32, %rdx
    orq %rdx, %rax
    ret
3:  movl $1, %edx
    jmp 2b
    fault_goes_to 1b, 2b, 3b

    .section .note.GNU-stack, "", @progbits
