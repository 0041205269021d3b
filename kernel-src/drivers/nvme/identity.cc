#include "drivers/nvme/identity.hh"

#include "lib/bytes.hh"

namespace kiln::nvme {
namespace {

u8 byte_at(identify_page page, usize offset) {
    return static_cast<u8>(page[offset]);
}

}  // namespace

result<controller_identity> read_controller(identify_page page) {
    constexpr usize transfer_size = 77, submission_size = 512, completion_size = 513,
                    name_space_count = 516, write_cache = 525;
    // The low half byte is the size required, the high one the largest that is possible.
    if ((byte_at(page, submission_size) & 0xf) > 6 || (byte_at(page, completion_size) & 0xf) > 4) {
        return err::opnotsupp;
    }
    const u32 shift = byte_at(page, transfer_size);
    return controller_identity{
        .name_spaces = load<u32>(&page[name_space_count]),
        .longest_transfer = shift == 0 || shift > 20 ? ~usize{0} : page_size << shift,
        .has_write_cache = (byte_at(page, write_cache) & 1) != 0,
    };
}

result<name_space_identity> read_name_space(identify_page page) {
    constexpr usize size = 0, format_in_use = 26, attributes = 99, formats = 128;
    const u64 sectors = load<u64>(&page[size]);
    if (sectors == 0) {
        return name_space_identity{0, 512, true};
    }
    const u32 format = load<u32>(&page[formats + (byte_at(page, format_in_use) & 0xf) * usize{4}]);
    const u32 metadata = format & 0xffff, shift = format >> 16 & 0xff;
    if (metadata != 0 || shift < 9 || shift > page_shift) {
        return err::opnotsupp;
    }
    return name_space_identity{sectors, 1u << shift, (byte_at(page, attributes) & 1) != 0};
}

}  // namespace kiln::nvme
