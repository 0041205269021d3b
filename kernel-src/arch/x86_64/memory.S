// memcpy, memmove, memset, memcmp, memchr, strlen: what the compiler may call by itself. In assembly,
// because a compiler turns such loops in C into calls of themselves. General registers only.

    .text
    .globl memcpy, memmove, memset, memcmp, memchr, strlen
    .balign 16
memmove:
    movq %rdi, %rax
    subq %rsi, %rax
    cmpq %rdx, %rax
    jb copy_backwards           // the target starts inside the source
memcpy:
    movq %rdi, %rax
    cmpq $64, %rdx
    jb 2f
1:  movq (%rsi), %rcx
    movq 8(%rsi), %r8
    movq 16(%rsi), %r9
    movq 24(%rsi), %r10
    movq %rcx, (%rdi)
    movq %r8, 8(%rdi)
    movq %r9, 16(%rdi)
    movq %r10, 24(%rdi)
    movq 32(%rsi), %rcx
    movq 40(%rsi), %r8
    movq 48(%rsi), %r9
    movq 56(%rsi), %r10
    movq %rcx, 32(%rdi)
    movq %r8, 40(%rdi)
    movq %r9, 48(%rdi)
    movq %r10, 56(%rdi)
    addq $64, %rsi
    addq $64, %rdi
    subq $64, %rdx
    cmpq $64, %rdx
    jae 1b
2:  cmpq $8, %rdx
    jb 4f
3:  movq (%rsi), %rcx
    movq %rcx, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rdx
    cmpq $8, %rdx
    jae 3b
4:  testq %rdx, %rdx
    je 6f
5:  movb (%rsi), %cl
    movb %cl, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jne 5b
6:  ret

copy_backwards:
    movq %rdi, %rax
    cmpq $8, %rdx
    jb 2f
1:  movq -8(%rsi, %rdx), %rcx
    movq %rcx, -8(%rdi, %rdx)
    subq $8, %rdx
    cmpq $8, %rdx
    jae 1b
2:  testq %rdx, %rdx
    je 4f
3:  movb -1(%rsi, %rdx), %cl
    movb %cl, -1(%rdi, %rdx)
    decq %rdx
    jne 3b
4:  ret

    .balign 16
memset:
    movq %rdi, %r8
    movzbl %sil, %eax
    movabsq $0x0101010101010101, %rcx
    imulq %rcx, %rax
    cmpq $64, %rdx
    jb 2f
1:  movq %rax, (%rdi)
    movq %rax, 8(%rdi)
    movq %rax, 16(%rdi)
    movq %rax, 24(%rdi)
    movq %rax, 32(%rdi)
    movq %rax, 40(%rdi)
    movq %rax, 48(%rdi)
    movq %rax, 56(%rdi)
    addq $64, %rdi
    subq $64, %rdx
    cmpq $64, %rdx
    jae 1b
2:  cmpq $8, %rdx
    jb 4f
3:  movq %rax, (%rdi)
    addq $8, %rdi
    subq $8, %rdx
    cmpq $8, %rdx
    jae 3b
4:  testq %rdx, %rdx
    je 6f
5:  movb %al, (%rdi)
    incq %rdi
    decq %rdx
    jne 5b
6:  movq %r8, %rax
    ret

    .balign 16
memcmp:
    cmpq $8, %rdx
    jb 2f
1:  movq (%rdi), %rax
    movq (%rsi), %rcx
    cmpq %rcx, %rax
    jne 5f
    addq $8, %rdi
    addq $8, %rsi
    subq $8, %rdx
    cmpq $8, %rdx
    jae 1b
2:  testq %rdx, %rdx
    je 4f
3:  movzbl (%rdi), %eax
    movzbl (%rsi), %ecx
    subl %ecx, %eax
    jne 6f
    incq %rdi
    incq %rsi
    decq %rdx
    jne 3b
4:  xorl %eax, %eax
    ret
5:  bswapq %rax
    bswapq %rcx
    cmpq %rcx, %rax
    sbbl %eax, %eax
    orl $1, %eax
6:  ret

memchr:
    testq %rdx, %rdx
    je 3f
1:  cmpb %sil, (%rdi)
    je 2f
    incq %rdi
    decq %rdx
    jne 1b
3:  xorl %eax, %eax
    ret
2:  movq %rdi, %rax
    ret

strlen:
    xorl %eax, %eax
1:  cmpb $0, (%rdi, %rax)
    je 2f
    incq %rax
    jmp 1b
2:  ret

    .section .note.GNU-stack, "", @progbits
