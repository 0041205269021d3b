// What reports need to know of an ELF file: where its unwind table is, and which function holds an
// address. Reads through memory_view, trusts nothing, allocates nothing.
//
// ELF-64 object file format 1.5. Context: any in which the view may be read.
#pragma once

#include <span>
#include <string_view>

#include "lib/memory_view.hh"

namespace kiln {

// An ELF file as it is mapped.
struct elf_image {
    u64 bias = 0;          // address of a mapped byte minus its address in the file
    u64 unwind_table = 0;  // of .eh_frame_hdr; 0: there is none
};

// Looks at the ELF header mapped at `address`; false when there is none.
bool find_elf_image(const memory_view& memory, u64 address, elf_image& image);

struct elf_symbol_place {
    std::string_view name;  // in the caller's buffer, cut to its size
    u64 offset = 0;         // of the address in the function
};

// The function that holds an address (as in the file, without bias), from .symtab or, in a stripped
// file, .dynsym. `file` is addressed by file offset. False when none is known.
bool find_elf_symbol(const memory_view& file, u64 address, std::span<char> buffer,
                     elf_symbol_place& found);

}  // namespace kiln
