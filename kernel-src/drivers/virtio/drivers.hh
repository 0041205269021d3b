// The virtio drivers, by device type. Each takes a function that has been found and either
// registers a working device or says why not and leaves it alone.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/result.hh"

namespace kiln::virtio {

result<void> start_block(pci::function& function);
result<void> start_net(pci::function& function);
result<void> start_console(pci::function& function);
// Consoles talk with their device while others are set up; this waits until they know their ports
// and enters these in the_console().
void finish_consoles();
result<void> start_entropy(pci::function& function);

// The device type of a virtio function, by its device number; 0 when it is none.
u16 type_of(const pci::function& function);

}  // namespace kiln::virtio
