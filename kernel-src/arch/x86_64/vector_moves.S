// x87, SSE and AVX registers by plain moves, in XSAVE's standard format. On an emulator one XSAVE
// costs more than a microsecond, and these a tenth of it.
//
// x87 registers that are as FNINIT leaves them, which is nearly always, are neither written nor
// read: bit 0 of the header's XSTATE_BV tells. The upper halves of the AVX registers are all zero
// where programs end their use with VZEROUPPER: bit 2. SSE counts as in use always. The contents of
// x87 registers that are tagged empty, which only a broken program looks at, are not kept.
//
// Context: interrupts off.

#define MXCSR 24
#define XMM 160
#define XSTATE_BV 512
#define YMM_HIGH 576
#define AVX_BIT 2

    .text
// void vector_save_by_moves(std::byte* area /* rdi */, u64 features /* rsi */)
    .globl vector_save_by_moves
    .balign 16
vector_save_by_moves:
    movl $2, %ecx
    subq $32, %rsp
    fnstenv (%rsp)              // which masks all exceptions,
    fldcw (%rsp)                // and this undoes it
    cmpw $0x37f, (%rsp)         // control
    jne 1f
    cmpw $0, 4(%rsp)            // status
    jne 1f
    cmpw $0xffff, 8(%rsp)       // tags: all empty
    jne 1f
    addq $32, %rsp
2:  stmxcsr MXCSR(%rdi)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps %xmm\n, XMM + 16 * \n(%rdi)
    .endr
    btl $AVX_BIT, %esi
    jnc 3f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vextractf128 $1, %ymm\n, YMM_HIGH + 16 * \n(%rdi)
    .endr
    xorl %eax, %eax
    .set offset, 0
    .rept 32
    orq YMM_HIGH + offset(%rdi), %rax
    .set offset, offset + 8
    .endr
    leal (1 << AVX_BIT)(%rcx), %edx
    testq %rax, %rax
    cmovne %edx, %ecx
3:  movq %rcx, XSTATE_BV(%rdi)
    ret
1:  addq $32, %rsp
    orl $1, %ecx
    testq %rsi, %rsi
    jne 4f
    fxsave64 (%rdi)
    jmp 3b
4:  movl $1, %eax
    xorl %edx, %edx
    xsave64 (%rdi)
    jmp 2b

// void vector_restore_by_moves(const std::byte* area /* rdi */, u64 features /* rsi */)
    .globl vector_restore_by_moves
    .balign 16
vector_restore_by_moves:
    movq XSTATE_BV(%rdi), %rcx
    testb $1, %cl
    jne 1f
    fninit
2:  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps XMM + 16 * \n(%rdi), %xmm\n
    .endr
    ldmxcsr MXCSR(%rdi)
    btl $AVX_BIT, %esi
    jnc 3f
    btl $AVX_BIT, %ecx
    jc 4f
    vzeroupper
3:  ret
4:  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vinsertf128 $1, YMM_HIGH + 16 * \n(%rdi), %ymm\n, %ymm\n
    .endr
    ret
1:  testq %rsi, %rsi
    jne 5f
    fxrstor64 (%rdi)
    ret
5:  movl $1, %eax
    xorl %edx, %edx
    xrstor64 (%rdi)
    jmp 2b

    .section .note.GNU-stack, "", @progbits
