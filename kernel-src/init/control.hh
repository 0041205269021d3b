// Requests of the host on the control channel: one JSON object a line.
//   {"request":"shutdown"}              SIGTERM to the program
//   {"request":"signal","signal":N}     signal N to the program
#pragma once

namespace kiln {

// Listens from now on, when there is such a channel. After the first task of the program is made.
void start_control_channel();

}  // namespace kiln
