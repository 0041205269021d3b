// UEFI loader: the course of it.
//
// Purpose: from the firmware's start of \EFI\BOOT\BOOTX64.EFI to the kernel's PVH entry, with the same
// start info that the BIOS loader hands over.
// Invariants: silent when all is well; otherwise exactly one sentence, then the machine stands. Nothing
// is believed of the kernel and the command line before their sums are those in the loader's header.
// Context: UEFI boot services, until they end.

#include "../console.hh"
#include "../kernel_elf.hh"
#include "disk.hh"
#include "firmware.hh"
#include "handover.hh"
#include "header.hh"

namespace boot {
namespace {

void check_header(const efi_loader_header& header) {
    if (header.version != efi_header_version) {
        die("the UEFI loader is of version ", header.version, ", not ", efi_header_version,
            "; write the image again");
    }
    if (header.kernel_block == 0 || header.kernel_bytes == 0 ||
        header.command_line_bytes >= command_line_limit) {
        die("the image builder put no kernel on this disk; write the image again");
    }
}

const u8* load(const boot_disk& disk, const char* what, u64 block, u32 bytes, const digest& wanted) {
    const u8* read = disk.read(block, bytes, what);
    if (!(sha256(read, bytes) == wanted)) {
        die(what, " on this disk is damaged (blocks ", hex{block}, " to ",
            hex{block + (bytes + sector_size - 1) / sector_size - 1},
            ": not the SHA-256 in the loader); write the image again");
    }
    return read;
}

bool is_loaded(const program_header& segment) {
    return segment.type == segment_load && segment.memory_size != 0;
}

u32 check_kernel(const u8* file, u32 bytes) {
    const elf_header& header = check_elf_header(file, bytes);
    u32 entry = no_entry;
    for (u32 at = 0; at < header.program_count; ++at) {
        const program_header& segment = program_headers(header)[at];
        if (segment.type == segment_load) {
            check_place_in_file(bytes, segment);
            check_address(segment);
        } else if (segment.type == segment_note && entry == no_entry) {
            check_place_in_file(bytes, segment);
            entry = find_entry(file + segment.offset, static_cast<u32>(segment.file_size));
        }
    }
    check_entry(header, entry);
    return entry;
}

// Takes the segments' places, so that nothing the loader still needs comes to lie there.
void hold_places(const elf_header& header) {
    for (u32 at = 0; at < header.program_count; ++at) {
        const program_header& segment = program_headers(header)[at];
        if (is_loaded(segment)) {
            hold(segment.physical_address, segment.memory_size);
        }
    }
}

// The file where no segment goes. Where it was read to may be such a place; now these are taken.
const u8* move_away(const u8* file, u32 bytes) {
    u8* to = take_pages(bytes, 1ull << 32, efi::loader_data, "the kernel");
    for (u32 at = 0; at < bytes; ++at) {
        to[at] = file[at];
    }
    return to;
}

bool is_in_a_place(const elf_header& header, const u8* file, u32 bytes) {
    u64 start = reinterpret_cast<u64>(file);
    for (u32 at = 0; at < header.program_count; ++at) {
        const program_header& segment = program_headers(header)[at];
        if (is_loaded(segment) && start < segment.physical_address + segment.memory_size &&
            segment.physical_address < start + bytes) {
            return true;
        }
    }
    return false;
}

u32 plan_steps(const u8* file, handover& page, u32 ranges) {
    auto& header = *reinterpret_cast<const elf_header*>(file);
    u32 count = 0;
    for (u32 at = 0; at < header.program_count; ++at) {
        const program_header& segment = program_headers(header)[at];
        if (!is_loaded(segment)) {
            continue;
        }
        if (!covers(page.ranges, ranges, segment.physical_address, segment.memory_size)) {
            no_memory_for(segment);
        }
        if (count == segment_limit) {
            bad_kernel("too many segments", segment.offset);
        }
        page.steps[count++] = {low_address(file + segment.offset),
                               static_cast<u32>(segment.physical_address),
                               static_cast<u32>(segment.file_size),
                               static_cast<u32>(segment.memory_size - segment.file_size)};
    }
    return count;
}

void copy(void* to, const u8* from, u64 bytes) {
    for (u64 at = 0; at < bytes; ++at) {
        static_cast<u8*>(to)[at] = from[at];
    }
}

[[noreturn]] void start(const efi_loader_header& header) {
    check_header(header);
    boot_disk disk = boot_disk::find();
    const u8* line = load(disk, "the command line", header.command_line_block,
                          header.command_line_bytes, header.command_line);
    const u8* file =
        load(disk, "the kernel", header.kernel_block, header.kernel_bytes, header.kernel);
    u32 entry = check_kernel(file, header.kernel_bytes);
    auto& elf = *reinterpret_cast<const elf_header*>(file);
    hold_places(elf);
    if (is_in_a_place(elf, file, header.kernel_bytes)) {
        file = move_away(file, header.kernel_bytes);
    }
    auto& page = *reinterpret_cast<handover*>(
        take_pages(sizeof(handover), handover_end, efi::loader_code, "the start of the kernel"));
    allow_execution(&page, sizeof page);
    copy(page.code, leave_start, static_cast<u64>(leave_end - leave_start));
    copy(page.command_line, line, header.command_line_bytes);
    page.command_line[header.command_line_bytes] = 0;
    u32 steps = plan_steps(file, page, read_memory_map(page.ranges));
    u64 rsdp = find_rsdp();
    u32 ranges = end_firmware(page.ranges);
    fill_start_info(page.info, low_address(page.command_line), rsdp, low_address(page.ranges),
                    ranges);
    leave_firmware(&page, steps, low_address(&page.info), entry);
}

}  // namespace

extern "C" EFI_CALL efi::status efi_main(efi::handle image, efi::system_table* system) {
    use_firmware(image, system);
    start(loader_header);
}

}  // namespace boot
