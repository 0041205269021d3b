// A strict reader of ELF64 program files: what the loader needs of the header and the program headers.
//
// Takes bytes, touches no file and no memory of the program, so that it runs under the fuzzer. Every
// number in an elf_program has been checked: sums do not overflow, segments lie below `limit`, in
// ascending order without overlap of pages with different contents, and inside the file.
// Context: any.
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"
#include "lib/vector.hh"

namespace kiln {

inline constexpr usize elf_header_size = 64;
inline constexpr usize elf_program_header_size = 56;

struct elf_segment {
    u64 address = 0;
    u64 memory_size = 0;
    u64 offset = 0;
    u64 file_size = 0;
    u32 protection = 0;  // PROT_*
};

struct elf_program {
    bool position_independent = false;
    u64 entry = 0;
    u64 headers_offset = 0;
    u16 header_count = 0;
    u64 headers_address = 0;  // where the program headers are in memory; 0: in no segment
    u64 interpreter_offset = 0;
    u64 interpreter_size = 0;  // with its NUL; 0: none
    bool executable_stack = false;
    u64 alignment = page_size;  // largest p_align of a segment
    vector<elf_segment> segments;

    u64 lowest() const { return align_down(segments[0].address, page_size); }
    u64 end() const {
        return align_up(segments.back().address + segments.back().memory_size, page_size);
    }
};

// Where the program headers are.
struct elf_header_place {
    u64 offset = 0;
    usize size = 0;
};

// Checks the ELF header. err::noexec with `reason` set to a sentence's end ("is not an ELF file").
result<elf_header_place> check_elf_header(std::span<const std::byte> header, u64 file_size,
                                          const char*& reason);
// `headers` are the bytes at the place. Addresses must end below `limit`.
result<elf_program> parse_elf(std::span<const std::byte> header, std::span<const std::byte> headers,
                              u64 file_size, u64 limit, const char*& reason);

}  // namespace kiln
