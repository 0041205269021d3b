#include "drivers/block/sd_letter.hh"

#include "lib/types.hh"

namespace kiln {
namespace {

constinit u32 given = 0;

}  // namespace

char next_sd_letter() {
    return static_cast<char>('a' + given++ % 26);
}

}  // namespace kiln
