// What whoever runs the host asks of the machine as a whole.
#pragma once

#include "core/app_config.hh"

namespace kiln {

// The program is told to end (SIGTERM) and, when it has, the machine does as the operator wants, not
// as the image says. Context: threads.
void end_in_order(exit_action wanted);

// Listens to the host from now on. After the program's process object exists.
void start_listening_to_operator();

}  // namespace kiln
