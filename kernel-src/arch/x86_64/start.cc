// From the loader's last instruction to the first kernel thread: the boot CPU's way through the parts
// of the machine, each of which needs only those before it. Runs on the boot stack, which becomes the
// boot CPU's idle thread.
#include "arch/x86_64/apic.hh"
#include "arch/x86_64/boot_memory.hh"
#include "arch/x86_64/clock.hh"
#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/hypervisor.hh"
#include "arch/x86_64/ioapic.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/smp.hh"
#include "arch/x86_64/vector_routines.hh"
#include "arch/x86_64/xen.hh"
#include "core/heap.hh"
#include "core/log.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/devices.hh"
#include "drivers/mmio.hh"
#include "drivers/xen/console.hh"
#include "init/init.hh"

extern "C" char boot_stack_top[];

namespace kiln {
namespace {

// constinit: the idle thread of the boot CPU must exist before the heap does.
constinit thread boot_thread{};

}  // namespace

extern "C" [[noreturn]] void start_first_cpu(u64 start_info) {
    serial_init();
    xen::find();
    cpu_prepare(0, 0);
    cpu_load(0);
    choose_vector_routines();
    boot_thread.stack_top = reinterpret_cast<u64>(boot_stack_top);
    adopt_boot_thread(boot_thread, "idle/0");
    const boot_information& information = read_start_info(start_info);
    heap_init();
    xen::platform_init();
    xen::console_init();
    acpi_init(information.rsdp);
    // While the local APIC still passes on what the firmware let through: QEMU forgets a request that is
    // taken back later only when the APIC is written again, and would deliver one that is none.
    silence_legacy_controllers();
    apic_init(acpi::tables().madt.local_apic);
    cpu_apic_start();
    this_cpu_block().apic_id = apic_id_here();
    clock_init();
    start_other_cpus();
    emulator_drops_fences = on_emulator() && cpu_count() == 1;
    enable_interrupts();
    start_init_thread(information);
    run_idle();
}

}  // namespace kiln
