/*
 * A kernel that only tells what it was given: each value of the PVH entry state, the start info
 * and what it points to, as "name=value" lines on COM1; then it ends QEMU by isa-debug-exit.
 * It judges nothing: the test does.
 */

#define COM1 0x3f8
#define DEBUG_EXIT 0xf4

    .macro show name
    movl $99f, %esi
    call put_text
    .section .data
99: .asciz "\name="
    .text
    .endm

    .macro show_value name, value
    pushl \value
    show \name
    popl %eax
    call put_hex
    call put_line_end
    .endm

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18                      /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long probe_start

    .text
    .code32
    .globl probe_start
probe_start:
    movl %esp, saved_esp
    movl $stack_end, %esp
    pushfl
    popl saved_flags
    movl %ebx, start_info
    cld
    show_value "ebx", start_info
    show_value "eflags", saved_flags
    movl %cr0, %eax
    show_value "cr0", %eax
    movl %cr4, %eax
    show_value "cr4", %eax
    sgdtl gdt_register
    show "cs"
    movw %cs, %ax
    call put_descriptor
    show "ds"
    movw %ds, %ax
    call put_descriptor
    show "es"
    movw %es, %ax
    call put_descriptor
    show "ss"
    movw %ss, %ax
    call put_descriptor
    show "tr"
    strw %ax
    call put_descriptor

    show "start_info"
    movl start_info, %ebx
    movl $14, %ecx
    call put_words
    call put_line_end

    show "cmdline"
    movl start_info, %ebx
    movl 24(%ebx), %esi
    call put_text
    call put_line_end

    show "rsdp"
    movl start_info, %ebx
    movl 32(%ebx), %ebx
    movl $2, %ecx
    call put_words
    call put_line_end

    movl start_info, %ebx
    movl 48(%ebx), %edi
    movl 40(%ebx), %ebx
ranges:
    testl %edi, %edi
    jz pattern
    show "range"
    movl $5, %ecx
    call put_words
    call put_line_end
    addl $4, %ebx
    decl %edi
    jmp ranges

pattern:                                /* an order-sensitive sum over what was loaded */
    movl $pattern_start, %ebx
    movl $pattern_end, %ecx
    subl %ebx, %ecx
    xorl %eax, %eax
1:  roll $5, %eax
    movzbl (%ebx), %edx
    addl %edx, %eax
    incl %ebx
    decl %ecx
    jnz 1b
    show_value "pattern", %eax

    movl $bss_start, %ebx               /* bytes that are not zero, the stack left out */
    xorl %eax, %eax
2:  cmpb $0, (%ebx)
    je 3f
    incl %eax
3:  incl %ebx
    cmpl $zeroed_end, %ebx
    jb 2b
    show_value "nonzero", %eax

    movb $0x2a, %al
    outb %al, $DEBUG_EXIT
stop:
    cli
    hlt
    jmp stop

put_descriptor:                         /* the two words of the descriptor that ax selects */
    movzwl %ax, %ebx
    addl gdt_register + 2, %ebx
    movl $2, %ecx
    call put_words
    jmp put_line_end

put_words:                              /* ecx words from ebx on, which is moved behind them */
    movl (%ebx), %eax
    call put_hex
    movb $' ', %al
    call put_char
    addl $4, %ebx
    decl %ecx
    jnz put_words
    ret

put_line_end:
    movb $'\n', %al
    jmp put_char

put_text:
    lodsb
    testb %al, %al
    jz 2f
    call put_char
    jmp put_text

put_hex:
    pushl %ecx
    movl $8, %ecx
1:  roll $4, %eax
    pushl %eax
    andb $15, %al
    cmpb $10, %al
    sbbb $0x69, %al
    das
    call put_char
    popl %eax
    decl %ecx
    jnz 1b
    popl %ecx
2:  ret

put_char:
    pushl %edx
    pushl %eax
    movl $COM1 + 5, %edx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    popl %eax
    movl $COM1, %edx
    outb %al, %dx
    popl %edx
    ret

    .data
    .balign 4
start_info:  .long 0
saved_esp:   .long 0
saved_flags: .long 0
gdt_register: .skip 8
pattern_start:
    .incbin "pattern.bin"
pattern_end:

    .bss
    .skip 500001
zeroed_end:
    .balign 16
    .skip 4096
stack_end:
