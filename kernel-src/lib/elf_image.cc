#include "lib/elf_image.hh"

namespace kiln {
namespace {

struct file_header {
    u8 identity[16];
    u16 type, machine;
    u32 version;
    u64 entry, program_offset, section_offset;
    u32 flags;
    u16 header_size, program_size, program_count, section_size, section_count, section_names;
};
static_assert(sizeof(file_header) == 64);

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

struct symbol {
    u32 name;
    u8 info, other;
    u16 section;
    u64 value, size;
};
static_assert(sizeof(symbol) == 24);

constexpr u32 segment_load = 1;
constexpr u32 segment_eh_frame = 0x6474e550;
constexpr u32 section_symbols = 2;
constexpr u32 section_dynamic_symbols = 11;
constexpr u8 symbol_function = 2;
constexpr u8 symbol_resolver = 10;  // STT_GNU_IFUNC
constexpr u16 defined_nowhere = 0;

// A damaged file must not keep a report busy for long.
constexpr u64 max_symbols = 1 << 20;

bool read_header(const memory_view& view, u64 address, file_header& header) {
    constexpr u8 expected[] = {0x7f, 'E', 'L', 'F', 2, 1};
    return view.load(address, header) &&
           __builtin_memcmp(header.identity, expected, sizeof expected) == 0;
}

bool find_section(const memory_view& file, const file_header& header, u32 type,
                  section_header& found) {
    for (u64 index = 0; index < header.section_count; ++index) {
        const u64 at = header.section_offset + index * sizeof(section_header);
        if (!file.load(at, found)) {
            return false;
        }
        if (found.type == type) {
            return true;
        }
    }
    return false;
}

bool is_function_at(const symbol& candidate, u64 address) {
    const u8 type = candidate.info & 15;
    return (type == symbol_function || type == symbol_resolver) &&
           candidate.section != defined_nowhere && address >= candidate.value &&
           address - candidate.value < candidate.size;
}

bool search(const memory_view& file, const section_header& table, u64 address, symbol& found) {
    constexpr usize batch = 32;
    symbol symbols[batch];
    const u64 all = table.size / sizeof(symbol);
    const u64 count = all < max_symbols ? all : max_symbols;
    for (u64 first = 0; first < count; first += batch) {
        const u64 rest = count - first;
        const usize size = rest < batch ? rest : batch;
        if (!file.read(table.offset + first * sizeof(symbol), symbols, size * sizeof(symbol))) {
            return false;
        }
        for (usize index = 0; index < size; ++index) {
            if (is_function_at(symbols[index], address)) {
                found = symbols[index];
                return true;
            }
        }
    }
    return false;
}

std::string_view read_name(const memory_view& file, u64 offset, std::span<char> buffer) {
    usize size = 0;
    while (size < buffer.size() && file.read(offset + size, &buffer[size], 1) &&
           buffer[size] != '\0') {
        ++size;
    }
    return {buffer.data(), size};
}

}  // namespace

bool find_elf_image(const memory_view& memory, u64 address, elf_image& image) {
    file_header header;
    if (!read_header(memory, address, header) || header.program_size != sizeof(program_header)) {
        return false;
    }
    bool loaded = false;
    image = {};
    for (u64 index = 0; index < header.program_count; ++index) {
        program_header segment;
        if (!memory.load(address + header.program_offset + index * sizeof segment, segment)) {
            return false;
        }
        if (segment.type == segment_load && segment.offset == 0) {
            image.bias = address - segment.address;
            loaded = true;
        } else if (segment.type == segment_eh_frame) {
            image.unwind_table = segment.address;
        }
    }
    if (image.unwind_table != 0) {
        image.unwind_table += image.bias;
    }
    return loaded;
}

bool find_elf_symbol(const memory_view& file, u64 address, std::span<char> buffer,
                     elf_symbol_place& found) {
    file_header header;
    if (!read_header(file, 0, header) || header.section_size != sizeof(section_header)) {
        return false;
    }
    for (const u32 type : {section_symbols, section_dynamic_symbols}) {
        section_header table;
        section_header names;
        symbol match;
        if (!find_section(file, header, type, table) ||
            !file.load(header.section_offset + table.link * sizeof names, names) ||
            !search(file, table, address, match)) {
            continue;
        }
        found.name = read_name(file, names.offset + match.name, buffer);
        found.offset = address - match.value;
        return !found.name.empty();
    }
    return false;
}

}  // namespace kiln
