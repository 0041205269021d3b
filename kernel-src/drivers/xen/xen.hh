// Xen's part of the drivers, as drivers/devices.cc starts it.
#pragma once

#include "lib/string.hh"
#include "lib/vector.hh"

namespace kiln::xen {

// The store's names of Xen's own devices, in the order of their numbers, the same at each start.
struct device_list {
    vector<string> disks, networks;
};

// Events and the store, then emulated devices go for which there are Xen's own: these are returned, for
// start_fronts. In a thread, before PCI is enumerated. Nothing where there is no Xen.
device_list start();

}  // namespace kiln::xen
