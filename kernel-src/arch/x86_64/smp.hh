// Starting the other CPUs, and stopping them.
#pragma once

#include "lib/types.hh"

namespace kiln {

// Starts every CPU that ACPI lists, all at once, and returns when they run or a tenth of a second has
// passed. Before the program's half of the address space is used. Context: boot thread.
void start_other_cpus();

// Stops the others for good; for the panic path. Takes no locks.
void stop_other_cpus();
// From the NMI handler.
void answer_nmi();

}  // namespace kiln
