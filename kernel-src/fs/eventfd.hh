// eventfd: a counter that can be waited for.
#pragma once

#include "fs/file.hh"

namespace kiln {

// `flags`: nonblock.
result<ref<file>> make_eventfd(u64 value, bool semaphore, u32 flags);

}  // namespace kiln
