// The NVMe driver, seen from the table of drivers.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::nvme {

bool takes(const pci::function& function);
// Registers a disk for each namespace.
result<void> start(pci::function& function);

}  // namespace kiln::nvme
