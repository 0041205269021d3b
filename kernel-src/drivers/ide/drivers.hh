// The IDE driver, seen from the table of drivers.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::ide {

bool takes(const pci::function& function);
// Registers the disks of its two channels.
result<void> start(pci::function& function);

}  // namespace kiln::ide
