// The AHCI driver, seen from the table of drivers.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::ahci {

bool takes(const pci::function& function);
// Registers a disk for each port that has one.
result<void> start(pci::function& function);

}  // namespace kiln::ahci
