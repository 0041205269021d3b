// The others are started by INIT and two start-up interrupts (Intel SDM vol. 3, 9.4.4) with code that
// boot.S keeps and that is copied to a page below 1 MiB. Each takes the next stack of a table.
#include "arch/x86_64/smp.hh"

#include <algorithm>

#include "arch/x86_64/apic.hh"
#include "arch/x86_64/boot_memory.hh"
#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/msr.hh"
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
constexpr u64 start_limit_ns = 2 * ns_per_s;
// INIT takes effect at once on everything since the Pentium 4; a short pause is for the emulators.
constexpr u64 init_pause_ns = 50'000;

constinit u64 stack_tops[max_cpus]{};
constinit std::atomic<u32> started{1};
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
    *arguments = {.root = root_physical(), .stacks = reinterpret_cast<u64>(stack_tops), .taken = 0};
}

// CPU numbers are given in the order in which the CPUs arrive.
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
        while (now() < pause_end && started.load(std::memory_order_acquire) < wanted) {
            cpu_relax();
        }
    }
}

bool has_started(u32 apic_id) {
    for (u32 number = 1; number < started.load(std::memory_order_acquire); ++number) {
        if (cpu_block(number).apic_id == apic_id) {
            return true;
        }
    }
    return false;
}

// Whoever is late must not find the identity mapping gone: INIT makes it wait for ever.
void give_up_on_late_cpus(u32 wanted) {
    log_warning("{} of {} CPUs did not start; going on with {}", wanted - started.load(), wanted,
                started.load());
    const acpi::madt_information& madt = acpi::tables().madt;
    for (u32 i = 0; i < madt.cpu_total; ++i) {
        const u32 apic_id = madt.cpu[i].apic_id;
        if (madt.cpu[i].enabled && apic_id != apic_id_here() && !has_started(apic_id)) {
            send_init(apic_id);
        }
    }
}

}  // namespace

extern "C" [[noreturn]] void start_other_cpu(u32 number) {
    cpu_load(number);
    cpu_apic_start();
    cpu& me = this_cpu_block();
    me.apic_id = apic_id_here();
    auto* idle = new thread();
    if (idle == nullptr) {
        panic("no memory for the idle thread of CPU {}", number);
    }
    idle->stack_top = stack_tops[number - 1];
    adopt_boot_thread(*idle, "idle");
    me.queue.idling = true;
    started.fetch_add(1, std::memory_order_acq_rel);
    while (!may_run.load(std::memory_order_acquire)) {
        cpu_relax();
    }
    write_cr3(root_physical());
    enable_interrupts();
    run_idle();
}

void start_other_cpus() {
    if (acpi::tables().madt.cpu_total > 1) {
        const u32 wanted = prepare_cpus();
        place_start_code();
        send_start(wanted);
        const u64 limit = now() + start_limit_ns;
        while (started.load(std::memory_order_acquire) < wanted && now() < limit) {
            cpu_relax();
        }
        if (started.load() < wanted) {
            give_up_on_late_cpus(wanted);
        }
    }
    remove_identity_mapping();
    set_cpu_count(started.load());
    may_run.store(true, std::memory_order_release);
}

void stop_other_cpus() {
    if (!stopping.exchange(true) && cpu_count() > 1) {
        send_nmi_to_all_others();
    }
}

void answer_nmi() {
    while (stopping.load(std::memory_order_acquire)) {
        disable_interrupts();
        asm volatile("hlt");
    }
}

}  // namespace kiln
