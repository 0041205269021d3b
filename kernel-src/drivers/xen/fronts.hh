// The devices that Xen's other domains provide: which there are, and their drivers.
#pragma once

#include <string_view>

#include "drivers/xen/xen.hh"
#include "fs/block_device.hh"
#include "net/net_device.hh"

namespace kiln::xen {

// Asks the store which devices there are. Empty where it cannot be asked.
device_list find_devices();

// Starts the drivers of these. Context: the thread that starts drivers, when hypercalls, event channels
// and xenstore work.
void start_fronts(device_list found);

// A device is started in two steps, so that the backends of all work at the same time: what we have is
// published, then the backend has joined, and the device is registered. One that cannot be used is
// freed, others never are. A card whose backend has not joined soon is registered with its link down,
// and gets it when that joins.
result<block_device*> offer_disk(std::string_view id);
result<void> finish_disk(block_device& offered);
result<net::net_device*> offer_network(std::string_view id);
result<void> finish_network(net::net_device& offered);

}  // namespace kiln::xen
