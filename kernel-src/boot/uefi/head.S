/*
 * UEFI loader: the file's headers, which no linker writes.
 *
 * Microsoft's PE format: MS-DOS header, signature, COFF header, optional header PE32+, sections. The
 * file is laid out as it is in memory, so an offset is an address. Nothing has to be relocated; the
 * one block of relocations says so, as some firmware refuses an image that has none at all.
 * Dates and check sums are zero: UEFI reads neither, and a signature sets the sum.
 */

    .section .head, "a"
    .code64
pe_start:
    .ascii "MZ"
    .org 60
    .long pe_signature - pe_start
    .org 128
pe_signature:
    .ascii "PE\0\0"
    .word 0x8664                        /* x86-64 */
    .word 4                             /* sections */
    .long 0, 0, 0
    .word section_table - optional_header
    .word 0x222                         /* executable, large addresses, no debugging information */
optional_header:
    .word 0x20b                         /* PE32+ */
    .byte 0, 0
    .long text_size - pe_start
    .long initialized_size - pe_start
    .long 0
    .long efi_main - pe_start
    .long text_start - pe_start
    .quad 0                             /* preferred address: none */
    .long 4096, 4096                    /* alignment in memory and in the file */
    .word 0, 0, 0, 0, 0, 0
    .long 0
    .long image_size - pe_start
    .long 4096                          /* headers */
    .long 0
    .word 10                            /* EFI application */
    .word 0x100                         /* nothing is writable and executable at once */
    .quad 0, 0, 0, 0
    .long 0
    .long 6                             /* directories: the sixth is that of relocations */
    .quad 0, 0, 0, 0, 0
    .long relocations_start - pe_start, 12
section_table:
    .macro section name, start, size, flags
    .ascii "\name"
    .balign 8, 0
    .long \size - pe_start, \start - pe_start, \size - pe_start, \start - pe_start, 0, 0, 0, \flags
    .endm
    section ".kiln", kiln_start, kiln_size, 0x40000040
    section ".text", text_start, text_size, 0x60000020
    section ".data", data_start, data_size, 0xc0000040
    section ".reloc", relocations_start, relocations_size, 0x42000040

    .section .kiln, "a"
    .globl loader_header
loader_header:
    .ascii "KILN-EFI"
    .long 1
    .fill 92, 1, 0                      /* filled in by the image builder: see header.hh */

    .section .reloc, "a"
    .long 0, 12                         /* of page 0; both entries mean nothing */
    .word 0, 0
