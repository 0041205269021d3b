// Xen's part of the drivers, as drivers/devices.cc starts it.
#pragma once

namespace kiln::xen {

// Events, the store and the console's input; then emulated devices go for which there are Xen's own.
// In a thread, before PCI is enumerated. Does nothing where there is no Xen.
void start();

}  // namespace kiln::xen
