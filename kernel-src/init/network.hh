// The network as the configuration wants it.
#pragma once

#include "core/app_config.hh"

namespace kiln {

// Starts it; returns at once unless the configuration says to wait. Refuses to start the machine over
// addresses that are none.
void start_network(const app_config& config);

}  // namespace kiln
