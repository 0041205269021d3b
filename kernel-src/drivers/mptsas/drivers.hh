// The driver of LSI's Fusion-MPT controllers, seen from the table of drivers.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::mptsas {

bool takes(const pci::function& function);
// Registers its disks.
result<void> start(pci::function& function);

}  // namespace kiln::mptsas
