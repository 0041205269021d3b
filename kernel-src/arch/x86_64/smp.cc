// The others are started by INIT and two start-up interrupts (Intel SDM vol. 3, 9.4.4) with code that
// boot.S keeps and that is copied to a page below 1 MiB. Each takes the next stack of a table.
//
// On a busy host a CPU may come seconds late, and CPUs overtake each other. So a CPU's number is given
// at the door: those that come before it closes get 1, 2, … without gaps and are waited for, however
// long they take from there; those that come later stop. On the emulator no INIT calls back what was
// sent before, so what late CPUs need of memory stays: the start code, the stacks, and a root table of
// their own with the identity mapping.
#include "arch/x86_64/smp.hh"

#include <algorithm>

#include "arch/x86_64/apic.hh"
#include "arch/x86_64/boot_memory.hh"
#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/paging.hh"
#include "arch/x86_64/xen.hh"
#include "core/clock.hh"
#include "core/kernel_stack.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "drivers/acpi/acpi.hh"

extern "C" char ap_start[], ap_start_end[], ap_start_arguments[];

namespace kiln {
namespace {

// Conventional memory that no firmware uses: the page of the start code.
constexpr u64 start_page = 0x8000;
// They come within a millisecond, unless the host has other things to do.
constexpr u64 start_limit_ns = 10 * ns_per_s;
// INIT takes effect at once on everything since the Pentium 4; a short pause is for the emulators.
constexpr u64 init_pause_ns = 50'000;

constinit u64 stack_tops[max_cpus]{};
// In the image, and so below 4 GiB: the start code loads it before it has 64 bits.
alignas(page_size) constinit u64 start_root[page_size / sizeof(u64)]{};
constexpr u32 door_closed = 1u << 31;

// The next CPU's number; with door_closed, how many there are.
constinit std::atomic<u32> door{1};
// CPUs that are ready to run threads.
constinit std::atomic<u32> ready{1};
constinit std::atomic<bool> stopping{false};
constinit std::atomic<bool> may_run{false};

struct start_arguments {
    u64 root;
    u64 stacks;
    u64 taken;
};

void place_start_code() {
    auto* target = static_cast<char*>(phys_to_virt(start_page));
    std::copy(ap_start, ap_start_end, target);
    auto* arguments = reinterpret_cast<start_arguments*>(target + (ap_start_arguments - ap_start));
    std::copy_n(root_table(), std::size(start_root), start_root);
    *arguments = {.root = virt_to_phys(start_root), .stacks = reinterpret_cast<u64>(stack_tops), .taken = 0};
}

u32 admitted() {
    return door.load(std::memory_order_acquire) & ~door_closed;
}

// The number of a CPU that has come; 0 when it comes too late.
u32 pass_door() {
    u32 number = door.load(std::memory_order_acquire);
    while ((number & door_closed) == 0 &&
           !door.compare_exchange_weak(number, number + 1, std::memory_order_acq_rel)) {
    }
    return (number & door_closed) == 0 ? number : 0;
}

u32 prepare_cpus() {
    u32 count = 1;
    const acpi::madt_information& madt = acpi::tables().madt;
    for (u32 i = 0; i < madt.cpu_total && count < max_cpus; ++i) {
        if (!madt.cpu[i].enabled || madt.cpu[i].apic_id == apic_id_here()) {
            continue;
        }
        result<u64> stack = allocate_kernel_stack();
        if (!stack.ok()) {
            log_error("no memory to start more than {} CPUs", count);
            break;
        }
        cpu_prepare(count, 0);
        stack_tops[count - 1] = stack.value() + kernel_stack_size;
        ++count;
    }
    return count;
}

void send_start(u32 wanted) {
    const acpi::madt_information& madt = acpi::tables().madt;
    for (int round = 0; round < 3; ++round) {
        u32 sent = 1;
        for (u32 i = 0; i < madt.cpu_total && sent < wanted; ++i) {
            if (!madt.cpu[i].enabled || madt.cpu[i].apic_id == apic_id_here()) {
                continue;
            }
            ++sent;
            if (round == 0) {
                send_init(madt.cpu[i].apic_id);
            } else {
                send_startup(madt.cpu[i].apic_id, start_page >> page_shift);
            }
        }
        const u64 pause_end = now() + (round == 0 ? init_pause_ns : 4 * init_pause_ns);
        while (now() < pause_end && admitted() < wanted) {
            cpu_relax();
        }
    }
}

// How many CPUs there are, all ready.
u32 wait_for_cpus(u32 wanted) {
    const u64 limit = now() + start_limit_ns;
    while (admitted() < wanted && now() < limit) {
        cpu_relax();
    }
    const u32 count = door.fetch_or(door_closed, std::memory_order_acq_rel);
    while (ready.load(std::memory_order_acquire) < count) {
        cpu_relax();
    }
    return count;
}

[[noreturn]] void stop_for_ever() {
    for (;;) {
        disable_interrupts();
        asm volatile("hlt");
    }
}

}  // namespace

extern "C" [[noreturn]] void start_other_cpu(u32 slot) {
    const u32 number = pass_door();
    if (number == 0) {
        stop_for_ever();
    }
    cpu_load(number);
    cpu_apic_start();
    cpu& me = this_cpu_block();
    me.apic_id = apic_id_here();
    xen::cpu_start(number);
    auto* idle = new thread();
    if (idle == nullptr) {
        panic("no memory for the idle thread of CPU {}", number);
    }
    idle->stack_top = stack_tops[slot];
    adopt_boot_thread(*idle, "idle");
    me.queue.idling = true;
    ready.fetch_add(1, std::memory_order_acq_rel);
    while (!may_run.load(std::memory_order_acquire)) {
        cpu_relax();
    }
    write_cr3(root_physical());
    enable_interrupts();
    run_idle();
}

void start_other_cpus() {
    u32 count = 1;
    if (acpi::tables().madt.cpu_total > 1) {
        const u32 wanted = prepare_cpus();
        place_start_code();
        send_start(wanted);
        count = wait_for_cpus(wanted);
        if (count < wanted) {
            log_warning("{} of {} CPUs did not start within {} s; going on with {}", wanted - count,
                        wanted, start_limit_ns / ns_per_s, count);
        }
    }
    remove_identity_mapping();
    set_cpu_count(count);
    may_run.store(true, std::memory_order_release);
}

void stop_other_cpus() {
    if (!stopping.exchange(true) && cpu_count() > 1) {
        // One by one: a CPU that came too late has nothing to take an NMI with.
        for (u32 number = 0; number < cpu_count(); ++number) {
            if (number != this_cpu()) {
                send_nmi_to_cpu(number);
            }
        }
    }
}

void answer_nmi() {
    if (stopping.load(std::memory_order_acquire)) {
        stop_for_ever();
    }
}

}  // namespace kiln
