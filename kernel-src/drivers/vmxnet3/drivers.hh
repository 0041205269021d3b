// VMware's paravirtual network card.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::vmxnet3 {

bool takes(const pci::function& function);
result<void> start(pci::function& function);

}  // namespace kiln::vmxnet3
