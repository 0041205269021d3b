// The log's way to the host, for the boot and power-off code.
#pragma once

namespace kiln {

// From now on lines go to the log port, if there is one, and not to the serial console.
void start_log_port();
// Returns when every line has reached the host.
void drain_log();

}  // namespace kiln
