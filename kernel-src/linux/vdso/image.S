/* The finished vDSO as bytes of the kernel, on pages of its own. */
    .section .rodata.vdso, "a"
    .balign 4096
    .globl vdso_image_start, vdso_image_end
vdso_image_start:
    .incbin VDSO_FILE
vdso_image_end:
    .balign 4096
    .section .note.GNU-stack, "", @progbits
