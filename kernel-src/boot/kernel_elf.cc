// See kernel_elf.hh.

#include "kernel_elf.hh"

#include "console.hh"

namespace boot {
namespace {

struct note_header {
    u32 name_size;
    u32 content_size;
    u32 type;
};

constexpr u32 executable = 1;
constexpr u32 phys32_entry = 18;

bool holds_entry(const program_header& segment, u32 entry) {
    return segment.type == segment_load && (segment.flags & executable) != 0 &&
           entry >= segment.physical_address &&
           entry - segment.physical_address < segment.file_size;
}

}  // namespace

void bad_kernel(const char* what, u64 offset) {
    die("the kernel on this disk cannot be started: ", what, " at its byte ", hex{offset},
        "; write the image again");
}

void no_memory_for(const program_header& segment) {
    u64 base = segment.physical_address;
    die("the kernel needs memory from ", hex{base}, " to ", hex{base + segment.memory_size},
        ", and this machine has none there; give it more memory");
}

const elf_header& check_elf_header(const u8* bytes, u32 file_size) {
    if (file_size < sizeof(elf_header)) {
        bad_kernel("too short for an ELF header", file_size);
    }
    u32 size = file_size < elf_header_limit ? file_size : elf_header_limit;
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

void check_place_in_file(u32 file_size, const program_header& segment) {
    if (segment.offset > file_size || segment.file_size > file_size - segment.offset) {
        bad_kernel("a segment that ends behind the file", segment.offset);
    }
}

void check_address(const program_header& segment) {
    constexpr u64 address_limit = 1ull << 32;
    u64 base = segment.physical_address;
    if (segment.file_size > segment.memory_size) {
        bad_kernel("a segment larger in the file than in memory", segment.offset);
    }
    if (base < lowest_segment || base > address_limit ||
        segment.memory_size > address_limit - base) {
        bad_kernel("a segment for memory below 1 MiB or above 4 GiB", segment.offset);
    }
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

void check_entry(const elf_header& header, u32 entry) {
    if (entry == no_entry) {
        bad_kernel("no note with a PVH entry", 0);
    }
    for (u32 at = 0; at < header.program_count; ++at) {
        if (holds_entry(program_headers(header)[at], entry)) {
            return;
        }
    }
    bad_kernel("a PVH entry that is not in a loaded executable segment", entry);
}

}  // namespace boot
