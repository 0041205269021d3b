// Descriptor tables, system-call registers and control registers of each CPU. See cpu.hh.
#include "arch/x86_64/cpu.hh"

#include <cstddef>

#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/trap_frame.hh"
#include "arch/x86_64/vector_routines.hh"
#include "core/log.hh"
#include "core/page.hh"

extern "C" {
extern char trap_stubs[];
void syscall_entry();
}

namespace kiln {
namespace {

static_assert(offsetof(cpu, self) == CPU_SELF);
static_assert(offsetof(cpu, current) == CPU_CURRENT);
static_assert(offsetof(cpu, program_frame) == CPU_PROGRAM_FRAME);
static_assert(offsetof(trap_frame, r15) == FRAME_R15 && offsetof(trap_frame, rbx) == FRAME_RBX);
static_assert(offsetof(trap_frame, r11) == FRAME_R11 && offsetof(trap_frame, rax) == FRAME_RAX);
static_assert(offsetof(trap_frame, rcx) == FRAME_RCX && offsetof(trap_frame, rdi) == FRAME_RDI);
static_assert(offsetof(trap_frame, vector) == FRAME_VECTOR && offsetof(trap_frame, rip) == FRAME_RIP);
static_assert(offsetof(trap_frame, rflags) == FRAME_RFLAGS && offsetof(trap_frame, rsp) == FRAME_RSP);
static_assert(sizeof(trap_frame) == FRAME_SIZE);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
static_assert(offsetof(thread, work) == THREAD_WORK);
#pragma GCC diagnostic pop

struct gate {
    u16 offset_low;
    u16 selector;
    u8 ist;
    u8 type;
    u16 offset_middle;
    u32 offset_high;
    u32 reserved;
};
static_assert(sizeof(gate) == 16);

struct [[gnu::packed]] table_pointer {
    u16 limit;
    u64 base;
};

constexpr usize ist_stack_size = 8 * KiB;
constexpr usize stub_size = 16;

alignas(4096) constinit gate idt[256]{};
constinit cpu first_cpu{};
constinit cpu* cpus[max_cpus]{};
alignas(16) constinit u8 first_cpu_ist[ist::count][ist_stack_size]{};
constinit u32 running_cpus = 1;

u8 ist_of_vector(u32 vector) {
    switch (vector) {
        case 1: return ist::debug;
        case 2: return ist::nmi;
        case 8: return ist::double_fault;
        case 18: return ist::machine_check;
        default: return vector < 32 ? ist::fault : ist::interrupt;
    }
}

void fill_idt() {
    for (u32 vector = 0; vector < 256; ++vector) {
        const u64 stub = reinterpret_cast<u64>(trap_stubs) + vector * stub_size;
        idt[vector] = {.offset_low = static_cast<u16>(stub),
                       .selector = KERNEL_CODE_SELECTOR,
                       .ist = ist_of_vector(vector),
                       .type = 0x8e,  // present, interrupt gate
                       .offset_middle = static_cast<u16>(stub >> 16),
                       .offset_high = static_cast<u32>(stub >> 32)};
    }
}

void fill_gdt(cpu& made) {
    const u64 base = reinterpret_cast<u64>(&made.tss);
    made.gdt[KERNEL_CODE_SELECTOR / 8] = 0x00af'9b00'0000'ffff;
    made.gdt[KERNEL_DATA_SELECTOR / 8] = 0x00cf'9300'0000'ffff;
    made.gdt[TASK_STATE_SELECTOR / 8] = (sizeof(task_state) - 1) | (base & 0xff'ffff) << 16 |
                                        u64{0x89} << 40 | (base >> 24 & 0xff) << 56;
    made.gdt[TASK_STATE_SELECTOR / 8 + 1] = base >> 32;
    made.tss.io_map_base = sizeof(task_state);
}

u8* ist_stack(u32 number, u32 slot) {
    if (number == 0) {
        return first_cpu_ist[slot];
    }
    result<page*> pages = alloc_pages(1);
    if (!pages.ok()) {
        panic("no memory for the interrupt stacks of CPU {}", number);
    }
    return static_cast<u8*>(page_data(*pages.value()));
}

cpu* allocate_cpu(u32 number) {
    if (number == 0) {
        return &first_cpu;
    }
    auto* made = new cpu{};
    if (made == nullptr) {
        panic("no memory for CPU {}", number);
    }
    return made;
}

void load_tables(cpu& me) {
    const table_pointer gdt{.limit = sizeof(me.gdt) - 1, .base = reinterpret_cast<u64>(me.gdt)};
    const table_pointer interrupts{.limit = sizeof(idt) - 1, .base = reinterpret_cast<u64>(idt)};
    asm volatile(
        "lgdt %0\n"
        "lidt %1\n"
        "pushq %2\n"
        "leaq 1f(%%rip), %%rax\n"
        "pushq %%rax\n"
        "lretq\n"
        "1: movw %w3, %%ss\n"
        "ltr %w4\n"
        :
        : "m"(gdt), "m"(interrupts), "i"(KERNEL_CODE_SELECTOR), "r"(KERNEL_DATA_SELECTOR),
          "r"(TASK_STATE_SELECTOR)
        : "rax", "memory");
}

// System calls: CS and SS stay the kernel's. Masked: TF, DF, NT, AC, IOPL; interrupts stay on.
void load_system_call_registers() {
    write_msr(msr::star, u64{KERNEL_CODE_SELECTOR} << 32);
    write_msr(msr::lstar, reinterpret_cast<u64>(&syscall_entry));
    write_msr(msr::fmask, 0x47500);
    write_msr(msr::efer, read_msr(msr::efer) | 1);
}

// x87 and SSE for the program (OSFXSR, OSXMMEXCPT), native x87 errors, global pages.
void load_control_registers() {
    write_cr0((read_cr0() & ~u64{0xc}) | 0x1'0022);
    write_cr4(read_cr4() | 0x680);
}

}  // namespace

cpu& cpu_block(u32 number) {
    return *cpus[number];
}

u32 cpu_count() {
    return running_cpus;
}

void set_cpu_count(u32 count) {
    running_cpus = count;
}

void cpu_prepare(u32 number, u32 apic_id) {
    if (number == 0) {
        fill_idt();
        find_vector_features();
    }
    cpu* made = allocate_cpu(number);
    cpus[number] = made;
    made->self = made;
    made->number = number;
    made->apic_id = apic_id;
    made->timer_armed = never;
    made->tick.tick_at = never;
    made->tick.watch_at = watch_period_ns;
    for (u32 slot = 0; slot < ist::count; ++slot) {
        made->tss.ist[slot] = reinterpret_cast<u64>(ist_stack(number, slot)) + ist_stack_size;
    }
    fill_gdt(*made);
}

void cpu_load(u32 number) {
    cpu& me = *cpus[number];
    load_tables(me);
    write_msr(msr::gs_base, reinterpret_cast<u64>(&me));
    load_system_call_registers();
    load_control_registers();
    enable_vector_features();
}

u64 interrupts_save_and_disable() {
    const u64 flags = read_flags();
    disable_interrupts();
    return flags & flag_interrupts;
}

void interrupts_restore(u64 saved) {
    if (saved != 0) {
        enable_interrupts();
    }
}

u32 interrupts_taken_by(u32 cpu_number) {
    return cpu_block(cpu_number).interrupts_taken.load(std::memory_order_relaxed);
}

void cpu_relax() {
    asm volatile("pause");
}

}  // namespace kiln
