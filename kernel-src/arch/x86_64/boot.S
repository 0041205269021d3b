// Entry from the loader and from other CPUs' start-up.
//
// PVH (Xen docs/misc/pvh.pandoc, "Start of day"): 32-bit protected mode, paging off, flat segments,
// ebx = physical address of hvm_start_info. Leaves in long mode on the boot stack with
//   first 1 GiB of physical memory mapped at 0 (for the switch only), at the direct map and at image_base.
// Other CPUs come through ap_start, which is copied below 1 MiB.

#define IMAGE_BASE 0xffffffff80000000
#define PHYS(symbol) ((symbol) - IMAGE_BASE)

    .section .note.Xen, "a", @note
    .align 4
    .long 4, 8, 18              // name size, value size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad PHYS(pvh_entry)

    .section .text.boot, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    cld
    movl $PHYS(boot_stack_top), %esp
    movl %ebx, %ebp             // start_info
    // One gigabyte in 2 MiB pages.
    movl $PHYS(boot_directory), %edi
    movl $0x83, %eax
    xorl %ecx, %ecx
1:  movl %eax, (%edi, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl $PHYS(boot_directory) + 3, PHYS(boot_pointers_low)
    movl $PHYS(boot_directory) + 3, PHYS(boot_pointers_image) + 510 * 8
    movl $PHYS(boot_pointers_low) + 3, PHYS(boot_root)
    movl $PHYS(boot_pointers_low) + 3, PHYS(boot_root) + 256 * 8
    movl $PHYS(boot_pointers_image) + 3, PHYS(boot_root) + 511 * 8
    movl $PHYS(boot_root), %eax
    movl %eax, %cr3
    call enable_long_mode
    lgdt PHYS(boot_gdt_pointer)
    ljmp $8, $PHYS(long_mode_entry)

// CR4.PAE, EFER.LME and NXE, CR0.PG and WP. Position independent: also runs below 1 MiB.
enable_long_mode:
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    andl $0x9fffffff, %eax      // caches on
    orl $0x80010001, %eax
    movl %eax, %cr0
    ret

    .code64
long_mode_entry:
    movabsq $1f, %rax
    jmp *%rax
1:  xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    movl %ebp, %edi
    xorl %ebp, %ebp
    pushq $0
    call start_first_cpu
    ud2

// ---- other CPUs: copied to a page below 1 MiB, whose number is the SIPI vector ----
    .globl ap_start, ap_start_end, ap_start_arguments
    .balign 16
    .code16
ap_start:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %cs, %bx
    shll $4, %ebx               // physical address of the page
    leal (ap_gdt - ap_start)(%ebx), %eax
    movl %eax, ap_gdt_pointer - ap_start + 2
    leal (ap_protected - ap_start)(%ebx), %eax
    movl %eax, ap_far_pointer - ap_start
    lgdtl ap_gdt_pointer - ap_start
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl *(ap_far_pointer - ap_start)

    .code32
ap_protected:
    movw $24, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl (ap_start_arguments - ap_start)(%ebx), %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    andl $0x9fffffff, %eax
    orl $0x80010001, %eax
    movl %eax, %cr0
    leal (ap_long - ap_start)(%ebx), %eax
    movl %eax, (ap_long_pointer - ap_start)(%ebx)
    ljmpl *(ap_long_pointer - ap_start)(%ebx)

    .code64
ap_long:
    // The next free slot of the table of stacks, whose number is handed on.
    movl $1, %eax
    lock xaddl %eax, (ap_start_arguments - ap_start + 16)(%rbx)
    movq (ap_start_arguments - ap_start + 8)(%rbx), %rcx
    movq (%rcx, %rax, 8), %rsp
    movl %eax, %edi
    movabsq $start_other_cpu, %rax
    xorl %ebp, %ebp
    pushq $0
    jmp *%rax

    .balign 8
ap_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // 8: 64-bit code
    .quad 0x00cf9b000000ffff    // 16: 32-bit code
    .quad 0x00cf93000000ffff    // 24: data
ap_gdt_pointer:
    .word 31
    .long 0
// One pointer a jump: several CPUs may be here at once, and all write the same into each.
ap_far_pointer:
    .long 0
    .word 16
ap_long_pointer:
    .long 0
    .word 8
    .balign 8
ap_start_arguments:
    .quad 0                     // CR3
    .quad 0                     // table of stack tops
    .quad 0                     // slots taken
ap_start_end:

    .section .data
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .long PHYS(boot_gdt)

    .section .bss
    .balign 4096
    .globl boot_root
boot_root: .skip 4096
boot_pointers_low: .skip 4096
boot_pointers_image: .skip 4096
boot_directory: .skip 4096
    .globl boot_stack_bottom, boot_stack_top
boot_stack_bottom: .skip 16384
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
