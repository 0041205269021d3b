// The index of a compressed EROFS file: where each compressed piece lies on the device and which
// part of the file it holds.
#pragma once

#include "fs/erofs.hh"
#include "lib/vector.hh"

namespace kiln {

struct compressed_extent {
    u64 start = 0;  // in the file; it reaches to the next extent's start
    u32 block = 0;  // on the device
    u32 blocks = 1;
    bool plain = false;
    bool interlaced = false;  // a plain block that is rotated to the offset in its block
};

// Reads and checks the whole index, in the file's order.
result<vector<compressed_extent>> load_erofs_index(erofs& filesystem, const erofs_layout& layout);

}  // namespace kiln
