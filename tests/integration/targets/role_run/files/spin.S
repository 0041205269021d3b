// A kernel that does nothing for ever: enough for QEMU to run until it is ended.
    .section .note.Xen, "a"
    .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long _start
    .text
    .code32
    .globl _start
_start:
    jmp _start
