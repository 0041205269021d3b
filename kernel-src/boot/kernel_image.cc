// BIOS loader: reading, checking and placing the kernel's ELF64 file.
//
// ELF-64 object file format 1.5: file header, program headers, notes. The PVH entry is the note
// XEN_ELFNOTE_PHYS32_ENTRY (18) of the name "Xen" (Xen's include/public/elfnote.h).
//
// Invariants: the file header and the program headers lie in the first 4 KiB, which are kept at
// elf_header_address while segments are loaded.
// Context: 32-bit protected mode.

#include "kernel_image.hh"

#include "bios.hh"
#include "console.hh"

namespace boot {
namespace {

struct elf_header {
    u8 identity[16];
    u16 type;
    u16 machine;
    u32 version;
    u64 entry;
    u64 program_offset;
    u64 section_offset;
    u32 flags;
    u16 header_size;
    u16 program_size;
    u16 program_count;
    u16 section_size;
    u16 section_count;
    u16 section_names;
};
static_assert(sizeof(elf_header) == 64);

struct program_header {
    u32 type;
    u32 flags;
    u64 offset;
    u64 virtual_address;
    u64 physical_address;
    u64 file_size;
    u64 memory_size;
    u64 alignment;
};
static_assert(sizeof(program_header) == 56);

struct note_header {
    u32 name_size;
    u32 content_size;
    u32 type;
};

constexpr u32 segment_load = 1;
constexpr u32 segment_note = 4;
constexpr u32 executable = 1;
constexpr u32 phys32_entry = 18;
constexpr u32 no_entry = 0;

// A piece of the disk that is read as if it were a file.
struct disk_file {
    const char* name;
    u64 block;
    u32 size;
};

void copy(u8* to, const u8* from, u32 size) {
    auto* to_word = reinterpret_cast<u32*>(to);
    auto* from_word = reinterpret_cast<const u32*>(from);
    for (u32 words = size / 4; words > 0; --words) {
        *to_word++ = *from_word++;
    }
    for (u32 at = size & ~3u; at < size; ++at) {
        to[at] = from[at];
    }
}

void clear(u8* at, u32 size) {
    while (size > 0 && (reinterpret_cast<u32>(at) & 3) != 0) {
        *at++ = 0;
        --size;
    }
    auto* word = reinterpret_cast<u32*>(at);
    for (u32 words = size / 4; words > 0; --words) {
        *word++ = 0;
    }
    for (u32 rest = size & ~3u; rest < size; ++rest) {
        at[rest] = 0;
    }
}

// The caller has checked that the range is inside the file and that `to` may be written.
void read_file(const disk_file& file, u32 offset, u32 size, u8* to) {
    while (size > 0) {
        u32 skip = offset % sector_size;
        u32 room = bounce_sectors * sector_size - skip;
        u32 part = size < room ? size : room;
        read_sectors(file.block + offset / sector_size,
                     (skip + part + sector_size - 1) / sector_size);
        copy(to, reinterpret_cast<const u8*>(bounce_buffer) + skip, part);
        to += part;
        offset += part;
        size -= part;
    }
}

[[noreturn]] void bad_kernel(const char* what, u64 offset) {
    die("the kernel on this disk cannot be started: ", what, " at its byte ", hex{offset},
        "; write the image again");
}

const elf_header& read_elf_header(const disk_file& file, checksum& sum) {
    auto* bytes = reinterpret_cast<u8*>(elf_header_address);
    if (file.size < sizeof(elf_header)) {
        bad_kernel("too short for an ELF header", file.size);
    }
    u32 size = file.size < elf_header_limit ? file.size : elf_header_limit;
    read_file(file, 0, size, bytes);
    sum.add(bytes, size);
    auto& header = *reinterpret_cast<const elf_header*>(bytes);
    if (*reinterpret_cast<const u32*>(header.identity) != 0x464c457f) {
        bad_kernel("no ELF magic", 0);
    }
    if (header.identity[4] != 2 || header.identity[5] != 1 || header.machine != 62) {
        bad_kernel("no 64-bit x86 ELF", 4);
    }
    if (header.program_size != sizeof(program_header) || header.program_offset > size ||
        header.program_count * sizeof(program_header) > size - header.program_offset) {
        bad_kernel("program headers that are not in the first 4 KiB", 32);
    }
    return header;
}

u32 find_entry(const u8* notes, u32 size) {
    u32 at = 0;
    while (size - at >= sizeof(note_header)) {
        auto& note = *reinterpret_cast<const note_header*>(notes + at);
        at += sizeof note;
        u32 room = size - at;
        if (note.name_size > room || note.content_size > room) {
            return no_entry;
        }
        u32 content = (note.name_size + 3) & ~3u;
        u32 next = content + ((note.content_size + 3) & ~3u);
        if (next > room && content + note.content_size > room) {
            return no_entry;
        }
        bool is_xen =
            note.name_size == 4 && *reinterpret_cast<const u32*>(notes + at) == 0x006e6558;
        if (is_xen && note.type == phys32_entry && note.content_size >= 4) {
            return *reinterpret_cast<const u32*>(notes + at + content);
        }
        at += next < room ? next : room;
    }
    return no_entry;
}

void check_place_in_file(const disk_file& file, const program_header& segment) {
    if (segment.offset > file.size || segment.file_size > file.size - segment.offset) {
        bad_kernel("a segment that ends behind the file", segment.offset);
    }
}

void check_place_in_memory(const program_header& segment) {
    constexpr u64 address_limit = 1ull << 32;
    u64 base = segment.physical_address;
    if (segment.file_size > segment.memory_size) {
        bad_kernel("a segment larger in the file than in memory", segment.offset);
    }
    if (base < lowest_segment || base > address_limit ||
        segment.memory_size > address_limit - base) {
        bad_kernel("a segment for memory below 1 MiB or above 4 GiB", segment.offset);
    }
    if (!is_usable(base, segment.memory_size)) {
        die("the kernel needs memory from ", hex{base}, " to ", hex{base + segment.memory_size},
            ", and this machine has none there; give it more memory");
    }
}

void load_segment(const disk_file& file, const program_header& segment, checksum& sum) {
    check_place_in_file(file, segment);
    check_place_in_memory(segment);
    auto* to = reinterpret_cast<u8*>(static_cast<u32>(segment.physical_address));
    auto size = static_cast<u32>(segment.file_size);
    read_file(file, static_cast<u32>(segment.offset), size, to);
    sum.add(to, size);
    clear(to + size, static_cast<u32>(segment.memory_size) - size);
}

u32 load_notes(const disk_file& file, const program_header& segment, checksum& sum) {
    check_place_in_file(file, segment);
    if (segment.file_size > note_limit) {
        bad_kernel("notes of more than 4 KiB", segment.offset);
    }
    auto* to = reinterpret_cast<u8*>(note_address);
    auto size = static_cast<u32>(segment.file_size);
    read_file(file, static_cast<u32>(segment.offset), size, to);
    sum.add(to, size);
    return find_entry(to, size);
}

bool holds_entry(const program_header& segment, u32 entry) {
    return segment.type == segment_load && (segment.flags & executable) != 0 &&
           entry >= segment.physical_address &&
           entry - segment.physical_address < segment.file_size;
}

void check_sum(const checksum& found, u32 low, u32 high, const disk_file& file) {
    if (found.low == low && found.high == high) {
        return;
    }
    die(file.name, " on this disk is damaged (blocks ", hex{file.block}, " to ",
        hex{file.block + (file.size + sector_size - 1) / sector_size - 1}, ", checksum ",
        hex{found.low}, ":", hex{found.high}, ", not ", hex{low}, ":", hex{high},
        "); write the image again");
}

void check_entry(const program_header* segments, u32 count, u32 entry) {
    if (entry == no_entry) {
        bad_kernel("no note with a PVH entry", 0);
    }
    for (u32 at = 0; at < count; ++at) {
        if (holds_entry(segments[at], entry)) {
            return;
        }
    }
    bad_kernel("a PVH entry that is not in a loaded executable segment", entry);
}

}  // namespace

void checksum::add(const void* bytes, u32 size) {
    auto* word = static_cast<const u32*>(bytes);
    u32 first = low;
    u32 second = high;
    for (u32 words = size / 4; words > 0; --words) {
        first += *word++;
        second += first;
    }
    if (size % 4 != 0) {
        first += *word & ((1u << (size % 4 * 8)) - 1);
        second += first;
    }
    low = first;
    high = second;
}

u32 load_kernel(const boot_header& header) {
    disk_file file{"the kernel", header.kernel_block, header.kernel_bytes};
    checksum sum;
    const elf_header& elf = read_elf_header(file, sum);
    auto* segments = reinterpret_cast<const program_header*>(elf_header_address +
                                                             static_cast<u32>(elf.program_offset));
    u32 entry = no_entry;
    for (u32 at = 0; at < elf.program_count; ++at) {
        if (segments[at].type == segment_load) {
            load_segment(file, segments[at], sum);
        } else if (segments[at].type == segment_note && entry == no_entry) {
            entry = load_notes(file, segments[at], sum);
        }
    }
    check_sum(sum, header.kernel_check_low, header.kernel_check_high, file);
    check_entry(segments, elf.program_count, entry);
    return entry;
}

void load_command_line(const boot_header& header) {
    disk_file file{"the command line", header.command_line_block, header.command_line_bytes};
    if (file.size >= command_line_limit) {
        die("the command line has ", file.size, " bytes, more than ", command_line_limit - 1);
    }
    auto* to = reinterpret_cast<u8*>(command_line_address);
    checksum sum;
    read_file(file, 0, file.size, to);
    sum.add(to, file.size);
    check_sum(sum, header.command_line_check_low, header.command_line_check_high, file);
    to[file.size] = 0;
}

}  // namespace boot
