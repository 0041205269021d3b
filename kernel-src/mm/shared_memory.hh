// Memory that is shared but has no file: MAP_SHARED | MAP_ANONYMOUS.
#pragma once

#include "mm/vm_object.hh"

namespace kiln {

result<ref<vm_object>> make_shared_memory(u64 size);

}  // namespace kiln
