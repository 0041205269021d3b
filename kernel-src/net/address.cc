#include "net/address.hh"

#include "lib/format.hh"

namespace kiln::net {
namespace {

// Takes a number of at most `digits` digits in `base` off the front; negative when there is none.
int take_number(std::string_view& text, unsigned base, usize digits) {
    int value = 0;
    usize used = 0;
    while (used < digits && used < text.size()) {
        const char c = text[used];
        unsigned digit = 99;
        if (c >= '0' && c <= '9') {
            digit = static_cast<unsigned>(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = static_cast<unsigned>((c | 0x20) - 'a' + 10);
        }
        if (digit >= base) {
            break;
        }
        value = value * static_cast<int>(base) + static_cast<int>(digit);
        ++used;
    }
    text.remove_prefix(used);
    return used == 0 ? -1 : value;
}

bool take_char(std::string_view& text, char wanted) {
    if (text.empty() || text.front() != wanted) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

result<u32> parse_v4(std::string_view text) {
    u32 value = 0;
    for (int i = 0; i < 4; ++i) {
        const int part = i != 0 && !take_char(text, '.') ? -1 : take_number(text, 10, 3);
        if (part < 0 || part > 255) {
            return err::inval;
        }
        value = value << 8 | static_cast<u32>(part);
    }
    if (!text.empty()) {
        return err::inval;
    }
    return value;
}

// The groups of an IPv6 address; `gap` is where "::" stood, or 8.
struct groups {
    u16 values[8]{};
    usize count = 0;
    usize gap = 8;
};

result<void> parse_groups(std::string_view text, groups& to) {
    if (text.starts_with("::")) {
        to.gap = 0;
        text.remove_prefix(2);
    }
    while (!text.empty()) {
        const usize dot = text.find('.');
        if (dot != text.npos && text.find(':') == text.npos && to.count <= 6) {
            const u32 v4 = TRY(parse_v4(text));
            to.values[to.count++] = static_cast<u16>(v4 >> 16);
            to.values[to.count++] = static_cast<u16>(v4);
            return {};
        }
        const int value = take_number(text, 16, 4);
        if (value < 0 || to.count == 8) {
            return err::inval;
        }
        to.values[to.count++] = static_cast<u16>(value);
        if (text.empty()) {
            return {};
        }
        if (text.starts_with("::")) {
            if (to.gap != 8) {
                return err::inval;
            }
            to.gap = to.count;
            text.remove_prefix(2);
        } else if (!take_char(text, ':') || text.empty()) {
            return err::inval;
        }
    }
    return {};
}

result<ip_address> parse_v6(std::string_view text) {
    groups parsed;
    TRY(parse_groups(text, parsed));
    if (parsed.gap == 8 ? parsed.count != 8 : parsed.count > 7) {
        return err::inval;
    }
    ip_address made;
    for (usize i = 0; i < parsed.count; ++i) {
        const usize at = i < parsed.gap ? i : 8 - parsed.count + i;
        store_be<u16>(made.bytes + 2 * at, parsed.values[i]);
    }
    return made;
}

// The longest run of at least two zero groups.
void longest_zero_run(const ip_address& address, usize& start, usize& length) {
    start = 8;
    length = 1;
    for (usize i = 0; i < 8; ++i) {
        usize run = 0;
        while (i + run < 8 && load<u16>(address.bytes + 2 * (i + run)) == 0) {
            ++run;
        }
        if (run > length) {
            start = i;
            length = run;
        }
    }
}

}  // namespace

bool ip_prefix::contains(const ip_address& other) const {
    if (address.is_v4() != other.is_v4()) {
        return false;
    }
    const usize bits = mapped_length();
    if (__builtin_memcmp(address.bytes, other.bytes, bits / 8) != 0) {
        return false;
    }
    const u8 mask = static_cast<u8>(0xff00 >> (bits % 8));
    return bits % 8 == 0 || ((address.bytes[bits / 8] ^ other.bytes[bits / 8]) & mask) == 0;
}

result<ip_address> parse_address(std::string_view text) {
    if (text.find(':') != text.npos) {
        return parse_v6(text);
    }
    return ip_address::v4(TRY(parse_v4(text)));
}

result<ip_prefix> parse_prefix(std::string_view text) {
    const usize slash = text.find('/');
    ip_prefix made{TRY(parse_address(text.substr(0, slash)))};
    const int most = made.address.is_v4() ? 32 : 128;
    if (slash == text.npos) {
        made.length = static_cast<u8>(most);
        return made;
    }
    std::string_view rest = text.substr(slash + 1);
    const int length = take_number(rest, 10, 3);
    if (length < 0 || length > most || !rest.empty()) {
        return err::inval;
    }
    made.length = static_cast<u8>(length);
    return made;
}

usize format_address(const ip_address& address, std::span<char> to) {
    const u8* b = address.bytes;
    if (address.is_v4()) {
        return format_to(to, "{}.{}.{}.{}", b[12], b[13], b[14], b[15]);
    }
    usize start;
    usize length;
    longest_zero_run(address, start, length);
    buffer_sink sink(to);
    for (usize i = 0; i < 8; ++i) {
        if (i == start) {
            sink.put("::");
            i += length - 1;
            continue;
        }
        if (i != 0 && i != start + length) {
            sink.put(":");
        }
        format(sink, "{:x}", load_be<u16>(b + 2 * i));
    }
    return sink.size();
}

}  // namespace kiln::net
