#include "drivers/ahci/identity.hh"

namespace kiln::ahci {
namespace {

// Words 82 to 87 are valid when the two top bits of word 83 are 01.
constexpr bool valid(u16 word) {
    return (word & 0xc000) == 0x4000;
}

}  // namespace

result<disk_identity> read_identity(std::span<const u16, 256> words) {
    constexpr usize commands = 82, commands_2 = 83, sectors = 100, sizes = 106, sector_words = 117;
    constexpr u16 long_addresses = 1u << 10, write_cache = 1u << 5, has_long_sectors = 1u << 12;
    if (!valid(words[commands_2]) || (words[commands_2] & long_addresses) == 0) {
        return err::opnotsupp;
    }
    u64 count = 0;
    for (usize i = 4; i-- != 0;) {
        count = count << 16 | words[sectors + i];
    }
    u64 size = 512;
    if (valid(words[sizes]) && (words[sizes] & has_long_sectors) != 0) {
        size = (u64{words[sector_words + 1]} << 16 | words[sector_words]) * 2;
    }
    const bool usable = size >= 512 && size <= page_size && (size & (size - 1)) == 0;
    if (!usable || count == 0 || count >> 48 != 0) {
        return err::opnotsupp;
    }
    return disk_identity{count, static_cast<u32>(size), (words[commands] & write_cache) != 0};
}

}  // namespace kiln::ahci
