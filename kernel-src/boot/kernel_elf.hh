// Loaders: what is checked of the kernel's ELF64 file before it is believed.
//
// ELF-64 object file format 1.5: file header, program headers, notes. The PVH entry is the note
// XEN_ELFNOTE_PHYS32_ENTRY (18) of the name "Xen" (Xen's include/public/elfnote.h).
//
// Invariants: the file header and the program headers lie in the first 4 KiB; what a check does not
// like ends in a sentence (`die`).
#pragma once

#include "types.hh"

namespace boot {

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

constexpr u32 elf_header_limit = 0x1000;
constexpr u32 segment_load = 1;
constexpr u32 segment_note = 4;
constexpr u32 no_entry = 0;

// A kernel below this would overwrite the loader, the firmware or the video memory.
constexpr u32 lowest_segment = 0x100000;

[[noreturn]] void bad_kernel(const char* what, u64 offset);
[[noreturn]] void no_memory_for(const program_header& segment);

// The header of a file of `file_size` bytes, of which the first (at most elf_header_limit) are at `bytes`.
const elf_header& check_elf_header(const u8* bytes, u32 file_size);

inline const program_header* program_headers(const elf_header& header) {
    return reinterpret_cast<const program_header*>(reinterpret_cast<const u8*>(&header) +
                                                   header.program_offset);
}

void check_place_in_file(u32 file_size, const program_header& segment);

// Whether it may go where it wants to by its addresses alone; not whether there is memory.
void check_address(const program_header& segment);

// The PVH entry in these notes, or no_entry.
u32 find_entry(const u8* notes, u32 size);

void check_entry(const elf_header& header, u32 entry);

}  // namespace boot
