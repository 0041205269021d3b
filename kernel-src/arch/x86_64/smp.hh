// Starting the other CPUs, and stopping them.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Starts every CPU that ACPI lists, all at once, and returns when they run. Those that have not come
// within ten seconds are done without, which is said. Before the program's half of the address space is
// used. Context: boot thread.
void start_other_cpus();

// Stops the others for good; for the panic path. Takes no locks.
void stop_other_cpus();
// From the NMI handler.
void answer_nmi();

}  // namespace kiln
