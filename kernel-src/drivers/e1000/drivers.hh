// Intel's gigabit Ethernet controllers: the 82540EM (QEMU's and VirtualBox's e1000) and its relatives,
// and the 82574L (e1000e).
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::e1000 {

bool takes(const pci::function& function);
result<void> start(pci::function& function);

}  // namespace kiln::e1000
