// Field offsets and values: System V ABI, "Object Files" and "Program Loading", and its AMD64
// supplement.
#include "linux/elf.hh"

#include <algorithm>
#include <bit>

#include "lib/bytes.hh"

namespace kiln {
namespace {

constexpr u16 type_executable = 2, type_shared = 3, machine_x86_64 = 62;
constexpr u32 segment_load = 1, segment_interpreter = 3,
              segment_stack = 0x6474e551;
constexpr u32 may_execute = 1, may_write = 2, may_read = 4;
constexpr u16 max_headers = 512;
constexpr u64 max_interpreter = 4096;

struct raw_header {
    u32 type, flags;
    u64 offset, address, physical, file_size, memory_size, alignment;
};

raw_header read_raw(const std::byte* at) {
    return {load<u32>(at), load<u32>(at + 4), load<u64>(at + 8), load<u64>(at + 16),
            load<u64>(at + 24), load<u64>(at + 32), load<u64>(at + 40), load<u64>(at + 48)};
}

u32 protection_of(u32 flags) {
    return ((flags & may_read) != 0 ? 1u : 0u) | ((flags & may_write) != 0 ? 2u : 0u) |
           ((flags & may_execute) != 0 ? 4u : 0u);
}

// Remembers why, and is an error in one.
struct complaint {
    const char*& reason;
    err operator()(const char* why) const {
        reason = why;
        return err::noexec;
    }
};

result<void> check_segment(const raw_header& raw, u64 file_size, u64 limit, complaint refuse) {
    if (raw.memory_size > limit || raw.address > limit - raw.memory_size) {
        return refuse("has a segment outside the program's address space");
    }
    if (raw.file_size > raw.memory_size) {
        return refuse("has a segment that is larger in the file than in memory");
    }
    if (raw.offset > file_size || raw.file_size > file_size - raw.offset) {
        return refuse("has a segment that lies beyond the end of the file");
    }
    if (((raw.address ^ raw.offset) & (page_size - 1)) != 0) {
        return refuse("has a segment whose address and file offset disagree within a page");
    }
    if (raw.alignment > 1 && !std::has_single_bit(raw.alignment)) {
        return refuse("has a segment whose alignment is not a power of two");
    }
    return {};
}

result<void> add_segment(elf_program& program, const raw_header& raw, complaint refuse) {
    if (raw.memory_size == 0) {
        return {};
    }
    if (!program.segments.empty()) {
        const elf_segment& last = program.segments.back();
        if (raw.address < last.address + last.memory_size) {
            return refuse("has segments that overlap or are not in ascending order");
        }
    }
    if (raw.alignment <= (u64{1} << 40)) {
        program.alignment = std::max(program.alignment, raw.alignment);
    }
    return program.segments.push_back({raw.address, raw.memory_size, raw.offset, raw.file_size,
                                       protection_of(raw.flags)});
}

// The headers' own address: what AT_PHDR tells the program.
u64 find_headers(const elf_program& program, usize size) {
    for (const elf_segment& segment : program.segments) {
        if (program.headers_offset >= segment.offset &&
            program.headers_offset - segment.offset <= segment.file_size &&
            size <= segment.file_size - (program.headers_offset - segment.offset)) {
            return segment.address + (program.headers_offset - segment.offset);
        }
    }
    return 0;
}

bool entry_is_mapped(const elf_program& program) {
    return std::any_of(program.segments.begin(), program.segments.end(),
                       [&](const elf_segment& segment) {
                           return program.entry >= segment.address &&
                                  program.entry - segment.address < segment.memory_size;
                       });
}

result<void> take_header(elf_program& program, const raw_header& raw, u64 file_size, u64 limit,
                         complaint refuse) {
    switch (raw.type) {
        case segment_load:
            TRY(check_segment(raw, file_size, limit, refuse));
            return add_segment(program, raw, refuse);
        case segment_interpreter:
            if (raw.file_size < 2 || raw.file_size > max_interpreter || raw.offset > file_size ||
                raw.file_size > file_size - raw.offset) {
                return refuse("names its interpreter (ld.so) in a place that is not in the file");
            }
            program.interpreter_offset = raw.offset;
            program.interpreter_size = raw.file_size;
            return {};
        case segment_stack:
            program.executable_stack = (raw.flags & may_execute) != 0;
            return {};
        default:
            return {};
    }
}

}  // namespace

result<elf_header_place> check_elf_header(std::span<const std::byte> header, u64 file_size,
                                          const char*& reason) {
    const complaint refuse{reason};
    const std::byte* at = header.data();
    if (header.size() < elf_header_size || load<u32>(at) != 0x464c457f) {
        return refuse("is not an ELF file");
    }
    if (load<u8>(at + 4) != 2 || load<u8>(at + 5) != 1 || load<u16>(at + 18) != machine_x86_64) {
        return refuse("is an ELF file, but not for x86-64");
    }
    const u16 type = load<u16>(at + 16);
    if (type != type_executable && type != type_shared) {
        return refuse("is an ELF file, but not a program");
    }
    const u64 offset = load<u64>(at + 32);
    const u16 count = load<u16>(at + 56);
    if (load<u16>(at + 54) != elf_program_header_size || count == 0 || count > max_headers) {
        return refuse("has no usable program headers");
    }
    const usize size = count * elf_program_header_size;
    if (offset > file_size || size > file_size - offset) {
        return refuse("has its program headers beyond the end of the file");
    }
    return elf_header_place{offset, size};
}

result<elf_program> parse_elf(std::span<const std::byte> header, std::span<const std::byte> headers,
                              u64 file_size, u64 limit, const char*& reason) {
    const complaint refuse{reason};
    const elf_header_place place = TRY(check_elf_header(header, file_size, reason));
    if (headers.size() < place.size) {
        return refuse("has its program headers beyond the end of the file");
    }
    elf_program program;
    program.position_independent = load<u16>(header.data() + 16) == type_shared;
    program.entry = load<u64>(header.data() + 24);
    program.headers_offset = place.offset;
    program.header_count = static_cast<u16>(place.size / elf_program_header_size);
    for (usize at = 0; at < place.size; at += elf_program_header_size) {
        TRY(take_header(program, read_raw(headers.data() + at), file_size, limit, refuse));
    }
    if (program.segments.empty()) {
        return refuse("has nothing to load");
    }
    if (!entry_is_mapped(program)) {
        return refuse("starts at an address that it does not load");
    }
    program.headers_address = find_headers(program, place.size);
    return program;
}

}  // namespace kiln
