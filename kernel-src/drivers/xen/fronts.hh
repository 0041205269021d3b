// The devices that Xen's other domains provide: which there are, and their drivers.
#pragma once

#include <string_view>

#include "fs/block_device.hh"
#include "net/net_device.hh"

namespace kiln::xen {

// Whether there are devices that the drivers here take, so that emulated ones that stand for the same
// may be unplugged.
bool has_disks();
bool has_networks();

// Finds the devices and starts their drivers. Does nothing where there is no store to ask.
// Context: the thread that starts drivers, when hypercalls, event channels and xenstore work.
void start_fronts();

// A device is started in two steps, so that the backends of all work at the same time: what we have is
// published, then the backend has joined, and the device is registered. One that cannot be used is
// freed, others never are.
result<block_device*> offer_disk(std::string_view id);
result<void> finish_disk(block_device& offered);
result<net::net_device*> offer_network(std::string_view id);
result<void> finish_network(net::net_device& offered);

}  // namespace kiln::xen
