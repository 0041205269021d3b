// Getting memory back before it runs out. Context: boot, once threads run.
#pragma once

#include "lib/result.hh"

namespace kiln {

result<void> start_memory_reclaim();

}  // namespace kiln
