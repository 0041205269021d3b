// Names for addresses, from the symbol tables of ELF files (gABI, chapter 4): for crash reports.
// Takes bytes from any source and trusts none of them. Context: any in which the source may be read.
#pragma once

#include <span>
#include <string_view>

#include "lib/types.hh"

namespace kiln {

class elf_source {
public:
    // How many bytes could be read at the offset.
    virtual usize read(u64 offset, std::span<std::byte> to) = 0;

protected:
    ~elf_source() = default;
};

struct elf_symbol {
    char name[96] = {};
    u64 offset = 0;  // of the place asked for, in the function

    std::string_view view() const { return name; }
};

// The function whose code is at this offset of the file. Looks into .symtab, then .dynsym. False when
// neither knows.
bool find_elf_symbol(elf_source& source, u64 file_offset, elf_symbol& found);

}  // namespace kiln
