#include "drivers/xen/offers.hh"

#include <algorithm>

#include "drivers/xen/block_queue.hh"
#include "lib/format.hh"

namespace kiln::xen {
namespace {

// How the number of a disk is made up: its kind, and the bits that number the disk within it.
struct disk_kind {
    u64 base;
    u32 disk_shift, disk_bits;
    u32 first_disk;
};
constexpr disk_kind disk_kinds[] = {
    {202 << 8, 4, 4, 0},  // xvd
    {8 << 8, 4, 4, 0},    // sd
    {3 << 8, 6, 1, 0},    // hd, two kinds
    {22 << 8, 6, 1, 2},
    {1 << 28, 8, 20, 0},  // xvd again, with more room
};

// As columns of a sheet are: a, b, … z, aa, ab …
usize put_letters(u64 disk, std::span<char> to) {
    char reversed[8];
    usize count = 0;
    for (u64 left = disk + 1; left != 0 && count < sizeof(reversed); left = (left - 1) / 26) {
        reversed[count++] = static_cast<char>('a' + (left - 1) % 26);
    }
    std::reverse_copy(reversed, reversed + count, to.begin());
    return count;
}

usize name_numbered(u64 disk, u64 part, std::span<char> to) {
    usize size = format_to(to, "xvd");
    size += put_letters(disk, to.subspan(size));
    return part == 0 ? size : size + format_to(to.subspan(size), "{}", part);
}

int hex_digit(char from) {
    if (from >= '0' && from <= '9') {
        return from - '0';
    }
    const char lower = static_cast<char>(from | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

u32 choose_queues(u64 offered, u32 cpus, u32 most) {
    return static_cast<u32>(std::clamp<u64>(offered, 1, std::min(cpus, most)));
}

u32 choose_segments(u64 offered) {
    return static_cast<u32>(
        std::clamp<u64>(offered, most_direct_segments, block_queue::most_segments));
}

result<disk_geometry> check_geometry(u64 sectors_of_512, u64 sector_size) {
    constexpr u64 unit = 512;
    const bool possible = sector_size >= unit && sector_size <= page_size &&
                          (sector_size & (sector_size - 1)) == 0 &&
                          sectors_of_512 <= ~u64{0} / unit;
    if (!possible) {
        return err::inval;
    }
    return disk_geometry{sectors_of_512 / (sector_size / unit), static_cast<u32>(sector_size)};
}

usize name_disk(u64 number, std::span<char> to) {
    for (const disk_kind& kind : disk_kinds) {
        const u64 inside = number - kind.base;
        if (number >= kind.base && inside >> (kind.disk_shift + kind.disk_bits) == 0) {
            return name_numbered((inside >> kind.disk_shift) + kind.first_disk,
                                 inside & ((u64{1} << kind.disk_shift) - 1), to);
        }
    }
    return format_to(to, "vbd{}", number);
}

u32 choose_net_features(const net_offer& offer) {
    namespace f = net::device_feature;
    // The stack does not tell IPv4 from IPv6 here, and segmentation stands on checksums.
    if (offer.no_checksum || !offer.checksum_ipv6) {
        return 0;
    }
    const bool long_frames = offer.scatter;
    return f::transmit_checksum | (long_frames && offer.segments4 ? f::tso4 : 0) |
           (long_frames && offer.segments6 ? f::tso6 : 0);
}

result<net::mac_address> read_mac(std::string_view text) {
    net::mac_address mac{};
    constexpr usize size = 3 * sizeof(mac.bytes) - 1;
    if (text.size() != size) {
        return err::inval;
    }
    for (usize i = 0; i < sizeof(mac.bytes); ++i) {
        const int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
        if (high < 0 || low < 0 || (i + 1 < sizeof(mac.bytes) && text[3 * i + 2] != ':')) {
            return err::inval;
        }
        mac.bytes[i] = static_cast<u8>(high << 4 | low);
    }
    return mac.is_multicast() ? result<net::mac_address>(err::inval) : mac;
}

}  // namespace kiln::xen
