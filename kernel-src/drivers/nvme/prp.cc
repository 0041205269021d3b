#include "drivers/nvme/prp.hh"

#include <algorithm>

#include "lib/assert.hh"

namespace kiln::nvme {

void describe(std::span<const dma_piece> pieces, u64* list, u64 list_address, u64 (&entries)[2]) {
    entries[0] = pieces.front().address;
    usize count = 0;
    for (const dma_piece& piece : pieces) {
        u64 at = piece.address;
        const u64 end = at + piece.length;
        if (&piece == pieces.data()) {
            at = align_down(at, page_size) + page_size;  // the first entry covers that much
        }
        for (; at < end; at += page_size) {
            KILN_DEBUG_ASSERT(count < list_entries);
            list[count++] = at;
        }
    }
    entries[1] = count == 0 ? 0 : count == 1 ? list[0] : list_address;
}

}  // namespace kiln::nvme
