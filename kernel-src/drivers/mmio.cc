#include "drivers/mmio.hh"

namespace kiln {

constinit bool emulator_drops_fences = false;

}  // namespace kiln
