/*
 * BIOS loader, stage 2: the changes of processor mode.
 *
 * Purpose: the way from stage 1 into 32-bit code, BIOS calls from there and back, the report of
 * unexpected exceptions, and the entry into the kernel.
 * Invariants: interrupts are on only inside a BIOS call; the stack is below 64 KiB, so that it is
 * the same in both modes; GDT and IDT are loaded anew after each BIOS call, as a BIOS may work in
 * protected mode itself.
 * Context: entered by stage 1 in 16-bit real mode at 0x8000 with the drive number in dl.
 */

#define CODE32 0x08
#define DATA32 0x10
#define CODE16 0x18
#define DATA16 0x20
#define TSS32 0x28
#define FRAME_SIZE 40

    .section .head, "awx"
    .code16
    .globl loader_header
loader_header:
    jmp real_entry
    .org 4
    .ascii "KILN-LD2"
    .long 1
    .fill 48, 1, 0                      /* filled in by the image builder: see layout.hh */

real_entry:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x7c00, %esp
    movzbl %dl, %ebp
    lgdtl gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $CODE32, $protected_entry

    .text
    .code32
protected_entry:
    call load_flat_segments
    movl $bss_start, %edi
    movl $bss_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    call build_idt
    lidt idt_pointer
    pushl %ebp
    call stage2_main

load_flat_segments:
    movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    ret

/*
 * void bios_call(u32 vector, bios_frame* frame): loads the frame's registers, issues the software
 * interrupt in real mode and stores what came back. The frame's layout is the order of popal,
 * then ds, es, and the flags.
 */
    .globl bios_call
bios_call:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl 20(%esp), %eax
    movb %al, bios_vector
    movl 24(%esp), %esi
    subl $FRAME_SIZE, %esp
    movl %esp, %edi
    movl $FRAME_SIZE / 4, %ecx
    rep movsl
    lidt real_idt_pointer
    ljmp $CODE16, $1f

    .code16
1:  movw $DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl %cr0, %eax
    andb $0xfe, %al
    movl %eax, %cr0
    ljmp $0, $2f
2:  xorw %ax, %ax
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    popal
    popw %ds
    popw %es
    addw $4, %sp
    sti
    .byte 0xcd                          /* int imm8 */
bios_vector:
    .byte 0
    pushfl
    cli
    cld
    pushw %es
    pushw %ds
    pushal
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $CODE32, $3f

    .code32
3:  call load_flat_segments
    lidt idt_pointer
    movl %esp, %esi
    movl FRAME_SIZE + 24(%esp), %edi
    movl $FRAME_SIZE / 4, %ecx
    rep movsl
    addl $FRAME_SIZE, %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

/*
 * [[noreturn]] void enter_kernel(u32 entry, u32 start_info): the state that Xen's
 * docs/misc/pvh.pandoc demands: only PE in cr0, cr4 zero, flat 32-bit segments, a 32-bit TSS of
 * base 0 and limit 0x67 in tr, VM, IF and TF clear, ebx pointing to the start info.
 */
    .globl enter_kernel
enter_kernel:
    movl 4(%esp), %eax
    movl 8(%esp), %ebx
    movl $1, %ecx
    movl %ecx, %cr0
    xorl %ecx, %ecx
    movl %ecx, %cr4
    movw $TSS32, %cx
    ltr %cx
    pushl $2
    popfl
    jmp *%eax

/* One stub a vector; vectors where the processor pushes an error code need no dummy. */
    .macro exception_stub vector
    .balign 16
    .if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17)
    pushl $0
    .endif
    pushl $\vector
    jmp exception_common
    .endm

    .balign 16
exception_stubs:
    .set vector, 0
    .rept 32
    exception_stub vector
    .set vector, vector + 1
    .endr

exception_common:
    call unexpected_exception           /* (vector, error code, eip) */

build_idt:
    movl $exception_stubs, %eax
    movl $idt, %edi
    movl $32, %ecx
1:  movl %eax, %edx                     /* all of stage 2 is below 64 KiB: offset 31..16 is 0 */
    movzwl %dx, %edx
    orl $CODE32 << 16, %edx
    movl %edx, (%edi)
    movl $0x8e00, 4(%edi)
    addl $16, %eax
    addl $8, %edi
    loop 1b
    ret

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            /* CODE32: base 0, 4 GiB, execute and read */
    .quad 0x00cf93000000ffff            /* DATA32: base 0, 4 GiB, read and write */
    .quad 0x00009b000000ffff            /* CODE16 */
    .quad 0x000093000000ffff            /* DATA16 */
    .quad 0x0000890000000067            /* TSS32: base 0, limit 0x67 */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
real_idt_pointer:
    .word 0x3ff
    .long 0
idt_pointer:
    .word 32 * 8 - 1
    .long idt

    .bss
    .balign 8
idt:
    .skip 32 * 8
