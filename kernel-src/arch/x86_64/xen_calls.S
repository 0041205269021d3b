// The page into which Xen writes the code of its hypercalls, 32 bytes each. Part of the text, which is
// read-only to the kernel; Xen writes to the memory behind it. int3 until then.

    .section .text.hypercalls, "ax"
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096, 0xcc

    .section .note.GNU-stack, "", @progbits
