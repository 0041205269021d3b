// What assembly knows of C++ structures; cpu.cc asserts that each figure is right.
#pragma once

#define CPU_SELF 0
#define CPU_CURRENT 8
#define CPU_PROGRAM_FRAME 16

#define THREAD_WORK 0

#define FRAME_R15 (0 * 8)
#define FRAME_R14 (1 * 8)
#define FRAME_R13 (2 * 8)
#define FRAME_R12 (3 * 8)
#define FRAME_RBP (4 * 8)
#define FRAME_RBX (5 * 8)
#define FRAME_R11 (6 * 8)
#define FRAME_R10 (7 * 8)
#define FRAME_R9 (8 * 8)
#define FRAME_R8 (9 * 8)
#define FRAME_RAX (10 * 8)
#define FRAME_RCX (11 * 8)
#define FRAME_RDX (12 * 8)
#define FRAME_RSI (13 * 8)
#define FRAME_RDI (14 * 8)
#define FRAME_VECTOR (15 * 8)
#define FRAME_ERROR (16 * 8)
#define FRAME_RIP (17 * 8)
#define FRAME_CS (18 * 8)
#define FRAME_RFLAGS (19 * 8)
#define FRAME_RSP (20 * 8)
#define FRAME_SS (21 * 8)
#define FRAME_SIZE (22 * 8)

#define SYSCALL_VECTOR 0x100
#define SYSCALL_LIMIT 451
#define INTERRUPT_FLAG_IN_BYTE_1 2

#define KERNEL_CODE_SELECTOR 0x08
#define KERNEL_DATA_SELECTOR 0x10
#define TASK_STATE_SELECTOR 0x18
