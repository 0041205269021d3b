// Finds the functions on all buses: bus 0, then behind each bridge that has a bus number. Function
// 0 decides whether a device is there and whether it has others, so that an empty slot costs one
// read.
#pragma once

#include "drivers/pci/function.hh"
#include "lib/vector.hh"

namespace kiln::pci {

result<void> enumerate(config_space& space, vector<function>& found);

// Moves the window's top below every BAR that the firmware has assigned inside it.
void keep_clear_of_assigned(vector<function>& all, bar_window& window);

}  // namespace kiln::pci
