#include "drivers/ide/disk.hh"

#include <algorithm>

namespace kiln::ide {
namespace {

constexpr usize longest_transfer = 1 * MiB, most_short_sectors = 256;

}  // namespace

result<void> disk::start(char letter) {
    _name[2] = letter;
    const usize most_bytes = most_short_sectors * _identity.sector_size;
    const usize longest =
        _identity.has_long_addresses ? longest_transfer : std::min(longest_transfer, most_bytes);
    return set_geometry(_identity.sectors, {.sector_size = _identity.sector_size,
                                            .longest = longest,
                                            .alignment = 2});
}

result<void> disk::transfer(transfer_kind kind, u64 sector, std::span<const dma_piece> pieces) {
    u64 bytes = 0;
    for (const dma_piece& piece : pieces) {
        bytes += piece.length;
    }
    const bool reads = kind == transfer_kind::read, is_long = _identity.has_long_addresses;
    using ata::command;
    task made{.what = is_long ? (reads ? command::read_dma : command::write_dma)
                              : (reads ? command::read_dma_short : command::write_dma_short)};
    made.unit = _unit;
    made.sector = sector;
    made.sectors = static_cast<u32>(bytes / _identity.sector_size);
    made.is_long = is_long;
    made.to_device = !reads;
    return _channel.run(made, pieces);
}

result<void> disk::flush() {
    if (!_identity.has_write_cache) {
        return {};
    }
    const bool is_long = _identity.has_long_addresses;
    return _channel.run({.what = is_long ? ata::command::flush : ata::command::flush_short,
                         .unit = _unit,
                         .is_long = is_long},
                        {});
}

}  // namespace kiln::ide
