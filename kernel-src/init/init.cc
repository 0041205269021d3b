// kernel only
#include "init/init.hh"

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "drivers/devices.hh"

namespace kiln {
namespace {

void run_init(void* argument) {
    const auto& information = *static_cast<const boot_information*>(argument);
    log_info("{} CPUs, {} MiB of memory, command line: {}", cpu_count(),
             information.memory_bytes / MiB, information.command_line);
    u64 t = now();
    park(t + 10 * ns_per_ms);
    log_info("slept {} us, free {}", (now() - t) / 1000, memory_now().free_pages);
    power_off();
}

}  // namespace

void start_init_thread(const boot_information& information) {
    result<thread*> made = start_kernel_thread(
        "init", run_init, const_cast<boot_information*>(&information));
    if (!made.ok()) {
        panic("no memory for the first kernel thread");
    }
}

}  // namespace kiln
