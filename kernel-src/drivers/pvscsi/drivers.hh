// VMware's paravirtual SCSI adapter.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::pvscsi {

bool takes(const pci::function& function);
result<void> start(pci::function& function);

}  // namespace kiln::pvscsi
