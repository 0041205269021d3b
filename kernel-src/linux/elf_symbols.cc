#include "linux/elf_symbols.hh"

namespace kiln {
namespace {

struct header {
    u8 identification[16];
    u16 type, machine;
    u32 version;
    u64 entry, program_headers, section_headers;
    u32 flags;
    u16 header_size, program_header_size, program_header_count;
    u16 section_header_size, section_header_count, names_section;
};
static_assert(sizeof(header) == 64);

struct program_header {
    u32 type, flags;
    u64 offset, address, physical, file_size, memory_size, alignment;
};
static_assert(sizeof(program_header) == 56);

struct section_header {
    u32 name, type;
    u64 flags, address, offset, size;
    u32 link, info;
    u64 alignment, entry_size;
};
static_assert(sizeof(section_header) == 64);

struct symbol_entry {
    u32 name;
    u8 info, other;
    u16 section;
    u64 value, size;
};
static_assert(sizeof(symbol_entry) == 24);

inline constexpr u32 pt_load = 1, sht_symtab = 2, sht_dynsym = 11;
inline constexpr u8 stt_func = 2, stt_ifunc = 10;
// A report is not worth reading more than this.
inline constexpr u64 most_symbols = 400'000;
inline constexpr u16 most_sections = 4096;

template <class T>
bool read_object(elf_source& source, u64 offset, T& to) {
    return source.read(offset, std::as_writable_bytes(std::span(&to, 1))) == sizeof(T);
}

// The address for which the file was linked, of a place in the file.
bool address_of_offset(elf_source& source, const header& head, u64 file_offset, u64& address) {
    for (u16 i = 0; i < head.program_header_count; ++i) {
        program_header segment;
        if (!read_object(source, head.program_headers + i * sizeof(segment), segment)) {
            return false;
        }
        if (segment.type == pt_load && file_offset >= segment.offset &&
            file_offset - segment.offset < segment.file_size) {
            address = segment.address + (file_offset - segment.offset);
            return true;
        }
    }
    return false;
}

bool is_function(const symbol_entry& entry) {
    const u8 type = entry.info & 15;
    return (type == stt_func || type == stt_ifunc) && entry.section != 0;
}

// The function that begins last at or before the address, and reaches to it if it tells its size.
bool search_table(elf_source& source, const section_header& table, u64 address, symbol_entry& best) {
    bool any = false;
    symbol_entry chunk[32];
    const u64 count = table.size / sizeof(symbol_entry);
    for (u64 at = 0; at < count && at < most_symbols; at += std::size(chunk)) {
        const u64 wanted = count - at < std::size(chunk) ? count - at : std::size(chunk);
        const auto room = std::as_writable_bytes(std::span(chunk, wanted));
        if (source.read(table.offset + at * sizeof(symbol_entry), room) != room.size()) {
            break;
        }
        for (u64 i = 0; i < wanted; ++i) {
            const symbol_entry& entry = chunk[i];
            if (is_function(entry) && entry.value <= address &&
                (entry.size == 0 || address - entry.value < entry.size) &&
                (!any || entry.value > best.value)) {
                best = entry;
                any = true;
            }
        }
    }
    return any;
}

bool read_name(elf_source& source, const section_header& strings, u32 offset, elf_symbol& found) {
    if (offset >= strings.size) {
        return false;
    }
    const u64 left = strings.size - offset;
    const usize wanted = left < sizeof(found.name) - 1 ? left : sizeof(found.name) - 1;
    const auto room = std::as_writable_bytes(std::span(found.name, wanted));
    found.name[source.read(strings.offset + offset, room)] = '\0';
    return found.name[0] != '\0';
}

bool search_kind(elf_source& source, const header& head, u32 kind, u64 address, elf_symbol& found) {
    for (u16 i = 0; i < head.section_header_count && i < most_sections; ++i) {
        section_header table;
        if (!read_object(source, head.section_headers + i * sizeof(table), table)) {
            return false;
        }
        symbol_entry best{};
        if (table.type != kind || !search_table(source, table, address, best)) {
            continue;
        }
        section_header strings;
        if (!read_object(source, head.section_headers + table.link * sizeof(strings), strings)) {
            return false;
        }
        found.offset = address - best.value;
        return read_name(source, strings, best.name, found);
    }
    return false;
}

}  // namespace

bool find_elf_symbol(elf_source& source, u64 file_offset, elf_symbol& found) {
    header head;
    u64 address = 0;
    if (!read_object(source, 0, head) || head.program_header_size != sizeof(program_header) ||
        head.section_header_size != sizeof(section_header) ||
        !address_of_offset(source, head, file_offset, address)) {
        return false;
    }
    return search_kind(source, head, sht_symtab, address, found) ||
           search_kind(source, head, sht_dynsym, address, found);
}

}  // namespace kiln
