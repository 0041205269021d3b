/*
 * UEFI loader: from the firmware's long mode to the kernel's 32-bit entry.
 *
 * Purpose: turns paging off, copies the kernel's segments to their places, and enters the kernel in
 * the state that Xen's docs/misc/pvh.pandoc demands: only PE in cr0, cr4 zero, flat 32-bit segments,
 * a 32-bit TSS of base 0 and limit 0x67 in tr, VM, IF and TF clear, ebx pointing to the start info.
 * Invariants: what lies between leave_start and leave_end was copied to the handover page and finds
 * its own data by the page's address alone; no stack is used there.
 * Context: boot services have ended; memory is mapped one to one, as UEFI demands.
 */

#define CODE32 0x08
#define DATA32 0x10
#define TSS32 0x18
#define STEPS 512                       /* offset of handover.steps */
#define IN_PAGE(symbol) ((symbol) - leave_start)

/* void leave_firmware(handover* page, u32 steps, u32 start_info, u32 entry) */
    .text
    .globl leave_firmware
leave_firmware:
    cli
    cld
    movl %edx, %ebx                     /* start info */
    movl %esi, %edx                     /* number of steps */
    movl %ecx, %ebp                     /* entry */
    movq %cr4, %rax                     /* CET and PCIDE do not outlive what cr0 loses below */
    andq $~(1 << 23 | 1 << 17), %rax
    movq %rax, %cr4
    leaq IN_PAGE(gdt)(%rdi), %rax
    movq %rax, IN_PAGE(gdt_pointer) + 2(%rdi)
    leal IN_PAGE(protected)(%rdi), %eax
    movl %eax, IN_PAGE(far_pointer)(%rdi)
    lgdt IN_PAGE(gdt_pointer)(%rdi)
    ljmpl *IN_PAGE(far_pointer)(%rdi)

    .section .rodata
    .balign 16
    .globl leave_start
leave_start:
    .code32
protected:                              /* edi: the page; still paged, in compatibility mode */
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    xorl %eax, %eax
    movl %eax, %cr4
    movl %edx, %esi
    movl $0xc0000080, %ecx              /* EFER: neither long mode nor no-execute */
    rdmsr
    andl $0xfffff6ff, %eax
    wrmsr
    movl $1, %eax
    movl %eax, %cr0
    movw $TSS32, %ax
    ltr %ax
    movl %esi, %edx
    leal STEPS(%edi), %ecx

next_step:                              /* ecx: the step, edx: how many are left */
    testl %edx, %edx
    jz enter
    movl (%ecx), %esi
    movl 4(%ecx), %edi
    movl %ecx, %eax
    movl 8(%ecx), %ecx
    movl %ecx, %esp                     /* not a stack: there is none */
    shrl $2, %ecx
    rep movsl                           /* by words: bytes are slow on an emulator */
    movl %esp, %ecx
    andl $3, %ecx
    rep movsb
    movl 12(%eax), %ecx
    movl %eax, %esi
    movl %ecx, %esp
    xorl %eax, %eax
    shrl $2, %ecx
    rep stosl
    movl %esp, %ecx
    andl $3, %ecx
    rep stosb
    leal 16(%esi), %ecx
    decl %edx
    jmp next_step

enter:
    jmp *%ebp

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            /* CODE32: base 0, 4 GiB, execute and read */
    .quad 0x00cf93000000ffff            /* DATA32: base 0, 4 GiB, read and write */
    .quad 0x0000890000000067            /* TSS32: base 0, limit 0x67 */
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .quad 0
far_pointer:
    .long 0
    .word CODE32
    .globl leave_end
leave_end:
