// Amazon's Elastic Network Adapter, the network card of EC2's Nitro machines.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::ena {

bool takes(const pci::function& function);
result<void> start(pci::function& function);

}  // namespace kiln::ena
