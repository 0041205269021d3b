#include "drivers/ata/identity.hh"

namespace kiln::ata {
namespace {

// Words 82 to 87 are valid when the two top bits of word 83 are 01.
constexpr bool valid(u16 word) {
    return (word & 0xc000) == 0x4000;
}

}  // namespace

result<disk_identity> read_identity(std::span<const u16, 256> words) {
    constexpr usize abilities = 49, short_sectors = 60, commands = 82, commands_2 = 83,
                    long_sectors = 100, sizes = 106, sector_words = 117;
    constexpr u16 has_sectors = 1u << 9, long_addresses = 1u << 10, write_cache = 1u << 5,
                  has_large_sectors = 1u << 12;
    const bool is_valid = valid(words[commands_2]);
    const bool is_long = is_valid && (words[commands_2] & long_addresses) != 0;
    if (!is_long && (words[abilities] & has_sectors) == 0) {
        return err::opnotsupp;
    }
    u64 count = 0;
    for (usize i = is_long ? 4 : 2; i-- != 0;) {
        count = count << 16 | words[(is_long ? long_sectors : short_sectors) + i];
    }
    u64 size = 512;
    if (valid(words[sizes]) && (words[sizes] & has_large_sectors) != 0) {
        size = (u64{words[sector_words + 1]} << 16 | words[sector_words]) * 2;
    }
    const u64 most = is_long ? u64{1} << 48 : most_short_sectors;
    const bool usable = size >= 512 && size <= page_size && (size & (size - 1)) == 0;
    if (!usable || count == 0 || count > most) {
        return err::opnotsupp;
    }
    const bool has_cache = is_valid && (words[commands] & write_cache) != 0;
    return disk_identity{count, static_cast<u32>(size), has_cache, is_long};
}

}  // namespace kiln::ata
