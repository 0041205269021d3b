// BIOS loader: reading, checking and placing the kernel's ELF64 file.
//
// Invariants: the file header and the program headers lie in the first 4 KiB, which are kept at
// elf_header_address while segments are loaded.
// Context: 32-bit protected mode.

#include "kernel_image.hh"

#include "bios.hh"
#include "console.hh"
#include "kernel_elf.hh"

namespace boot {
namespace {

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

const elf_header& read_elf_header(const disk_file& file, checksum& sum) {
    auto* bytes = reinterpret_cast<u8*>(elf_header_address);
    u32 size = file.size < elf_header_limit ? file.size : elf_header_limit;
    read_file(file, 0, size, bytes);
    sum.add(bytes, size);
    return check_elf_header(bytes, file.size);
}

void load_segment(const disk_file& file, const program_header& segment, checksum& sum) {
    check_place_in_file(file.size, segment);
    check_address(segment);
    if (!is_usable(segment.physical_address, segment.memory_size)) {
        no_memory_for(segment);
    }
    auto* to = reinterpret_cast<u8*>(static_cast<u32>(segment.physical_address));
    auto size = static_cast<u32>(segment.file_size);
    read_file(file, static_cast<u32>(segment.offset), size, to);
    sum.add(to, size);
    clear(to + size, static_cast<u32>(segment.memory_size) - size);
}

u32 load_notes(const disk_file& file, const program_header& segment, checksum& sum) {
    check_place_in_file(file.size, segment);
    if (segment.file_size > note_limit) {
        bad_kernel("notes of more than 4 KiB", segment.offset);
    }
    auto* to = reinterpret_cast<u8*>(note_address);
    auto size = static_cast<u32>(segment.file_size);
    read_file(file, static_cast<u32>(segment.offset), size, to);
    sum.add(to, size);
    return find_entry(to, size);
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
    const program_header* segments = program_headers(elf);
    u32 entry = no_entry;
    for (u32 at = 0; at < elf.program_count; ++at) {
        if (segments[at].type == segment_load) {
            load_segment(file, segments[at], sum);
        } else if (segments[at].type == segment_note && entry == no_entry) {
            entry = load_notes(file, segments[at], sum);
        }
    }
    check_sum(sum, header.kernel_check_low, header.kernel_check_high, file);
    check_entry(elf, entry);
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
