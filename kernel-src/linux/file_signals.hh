// Signals that tell the program what happens to a descriptor: the owner and the signal of a file
// (F_SETOWN, F_SETSIG and their relatives), and whether they are sent (O_ASYNC).
// Context: threads, no locks held.
#pragma once

#include "fs/file.hh"

namespace kiln {

// The commands of fcntl that are about the owner and the signal; err::inval for others.
result<i64> signal_fcntl(file& open, u32 command, u64 argument);
// Sets or clears O_ASYNC; `fd` is what siginfo names. Files that tell nothing stay as they are.
result<void> set_async(file& open, int fd, bool on);
// FIOSETOWN, SIOCSPGRP, FIOGETOWN and SIOCGPGRP, which only sockets know. err::notty for others.
bool is_owner_ioctl(u32 command);
result<i64> owner_ioctl(file& open, u32 command, u64 argument);

}  // namespace kiln
