// Emulated devices that stand for the same disks and cards as Xen's own (HVM guests; Xen
// docs/misc/hvm-emulated-unplug.pandoc).
#pragma once

#include "lib/types.hh"

namespace kiln::xen {

// Takes the emulated IDE and SCSI disks and NVMe disks away, or the network cards. For ever, so only
// where a driver of Xen's devices has seen that there are some. Before PCI is enumerated. A machine
// whose host does not offer it keeps them.
void unplug(bool disks, bool cards);

}  // namespace kiln::xen
