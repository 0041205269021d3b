/*
 * BIOS loader, stage 1: the 440 bytes of boot code in the protective MBR.
 *
 * Purpose: reads stage 2 from the BIOS-boot partition to 0x8000 and jumps to it.
 * Invariants: exactly 440 bytes; the image builder patches the two fields at the end and nothing
 * else; stage 2 is not entered unless its magic and its 32-bit sum are right.
 * Context: 16-bit real mode at 0x7c00, drive number in dl, as the BIOS enters a boot sector.
 *
 * INT 13h functions 41h and 42h: Enhanced Disk Drive specification (EDD-1.1), section 4.
 */

#define STAGE2_ADDRESS 0x8000
#define COM1 0x3f8

    .code16
    .section .text
    .globl _start
_start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    ljmp $0, $1f                        /* some BIOSes enter at 07c0:0000 */
1:  sti
    movb %dl, drive

    movb $0x41, %ah
    movw $0x55aa, %bx
    int $0x13
    movw $no_lba, %si
    jc die
    cmpw $0xaa55, %bx
    jne die
    testb $1, %cl
    jz die

    movw $4, %di
read:
    movw stage2_sectors, %ax            /* a failing BIOS overwrites the count in the packet */
    movw %ax, packet + 2
    movb $0x42, %ah
    movb drive, %dl
    movw $packet, %si
    int $0x13
    jnc verify
    movb %ah, status
    xorw %ax, %ax
    movb drive, %dl
    int $0x13
    decw %di
    jnz read
    movb status, %al
    movw $status_text, %di
    call hex
    movw $unreadable, %si
    jmp die

verify:
    movw $damaged, %si
    cmpl $0x4e4c494b, STAGE2_ADDRESS + 4    /* "KILN" */
    jne die
    movw stage2_sectors, %cx
    shlw $7, %cx                        /* sectors to 32-bit words */
    movw $STAGE2_ADDRESS, %di
    xorl %eax, %eax
sum:
    addl (%di), %eax
    addw $4, %di
    loop sum
    testl %eax, %eax
    jnz die
    movb drive, %dl
    ljmp $0, $STAGE2_ADDRESS

/* Writes al as two hexadecimal digits to es:di. */
hex:
    movb %al, %ah
    shrb $4, %al
    call 1f
    movb %ah, %al
    andb $15, %al
1:  cmpb $10, %al
    jb 2f
    addb $7, %al
2:  addb $'0', %al
    stosb
    ret

/* Says the sentence at si on the screen and on COM1, and stops. */
die:
    pushw %si
    movw $prefix, %si
    call say
    popw %si
    call say
    movw $line_end, %si
    call say
halt:
    cli
    hlt
    jmp halt

say:
    lodsb
    testb %al, %al
    jz 3f
    pushw %ax
    movb $0x0e, %ah
    movw $7, %bx
    int $0x10
    popw %ax
    movb %al, %bl
    movw $COM1 + 5, %dx
    xorw %cx, %cx                       /* 65536 polls at most: there may be no UART */
1:  inb %dx, %al
    testb $0x20, %al
    loopz 1b
    movw $COM1, %dx
    movb %bl, %al
    outb %al, %dx
    jmp say
3:  ret

prefix:      .asciz "kiln loader: "
no_lba:      .asciz "the BIOS cannot address this disk by block (no INT 13h, AH=42h)"
unreadable:  .ascii "cannot read partition 1, BIOS status "
status_text: .asciz "00; check the disk"
damaged:     .asciz "partition 1 is damaged; write the image again"
line_end:    .asciz "\r\n"
drive:       .byte 0
status:      .byte 0

    .org 418
packet:                                 /* disk address packet; the builder sets the block */
    .byte 16, 0
    .word 0
    .word STAGE2_ADDRESS, 0
stage2_block:
    .quad 0
stage2_sectors:
    .word 0
    .org 436
    .ascii "KLN1"
    .org 440
