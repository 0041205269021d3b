// The boot sequence above the machine: configuration, devices, root, network, the program, its end.
#pragma once

#include "arch/x86_64/boot_memory.hh"

namespace kiln {

// Starts the kernel thread that does the rest of the boot and then starts the program.
void start_init_thread(const boot_information& information);

}  // namespace kiln
