// What a controller and a namespace say of themselves (NVM Express Base 1.4, figures 247 and 245).
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::nvme {

struct controller_identity {
    u32 name_spaces;
    usize longest_transfer;  // bytes; ~0: no limit
    bool has_write_cache;
};

struct name_space_identity {
    u64 sectors;  // 0: no namespace has this number
    u32 sector_size;
    bool read_only;
};

using identify_page = std::span<const std::byte, page_size>;

// err::opnotsupp for queue entries of another size than 64 and 16 bytes.
result<controller_identity> read_controller(identify_page page);
// err::opnotsupp for sectors that are larger than a page or carry metadata.
result<name_space_identity> read_name_space(identify_page page);

}  // namespace kiln::nvme
