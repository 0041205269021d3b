// How the machine ends: the program's exit, a refusal to start, a request of the host.
#pragma once

#include <string_view>

#include "core/app_config.hh"

namespace kiln {

// What is done after the program; before it is known, the machine is powered off.
void set_exit_action(exit_action action);
// An I/O port that is told the program's status before that; 0 is none.
void set_exit_port(u16 port);

// A failure of the image or of its configuration: said on the log and the control channel, then the
// machine ends. Context: thread.
[[noreturn]] void refuse_to_start(std::string_view why);

// Told to whoever watches the control channel: the program is about to run its first instruction.
void report_started();

}  // namespace kiln
