// How the stack learns of network cards, whichever comes first: the card or the stack.
#pragma once

#include "net/net_device.hh"

namespace kiln::net {

using device_listener = void (*)(net_device& device);

// Calls `listener` for every device that is registered, and for each that comes later. A device that
// is registered meanwhile may be told twice. Context: thread.
void take_net_devices(device_listener listener);

}  // namespace kiln::net
