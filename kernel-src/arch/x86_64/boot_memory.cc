// See boot_memory.hh. Runs once, on the boot CPU, before anything else allocates.
//
// Order matters: the start info and all it points to lie in memory that is free afterwards, so what is
// kept is copied before the first page is handed out. Pages for tables come from the top of the
// largest range below 1 GiB, which the boot tables map.
#include "arch/x86_64/boot_memory.hh"

#include <algorithm>

#include "arch/x86_64/layout.hh"
#include "arch/x86_64/xen.hh"
#include "boot/pvh.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/page_alloc.hh"
#include "lib/bytes.hh"

extern "C" char image_end[];

namespace kiln {
namespace {

constexpr usize max_ranges = 128;  // as many as the loaders hand over
constexpr usize max_command_line = 16 * KiB;
constexpr u64 low_memory_end = 1 * MiB;
constexpr u64 boot_mapped_end = 1 * GiB;

constexpr u64 largest_firmware_range = 16 * MiB;

constinit char kept_command_line[max_command_line]{};
constinit boot_information information{};
constinit boot_memory_range usable[max_ranges]{};
constinit usize usable_count = 0;
constinit boot_memory_range mapped[max_ranges]{};
constinit usize mapped_count = 0;
constinit usize table_range = 0;

void keep_command_line(u64 address) {
    if (address == 0) {
        return;
    }
    const char* text = static_cast<const char*>(phys_to_virt(address));
    usize length = 0;
    while (length < max_command_line && text[length] != '\0') {
        ++length;
    }
    if (length == max_command_line) {
        panic("the kernel command line is longer than {} bytes", max_command_line - 1);
    }
    std::copy_n(text, length, kept_command_line);
    information.command_line = {kept_command_line, length};
}

void keep_usable(u64 start, u64 end) {
    const u64 image_last = virt_to_phys(image_end);
    start = std::max(align_up(start, page_size), low_memory_end);
    end = align_down(end, page_size);
    // What lies below the image in its own range is left out: it may hold the loader's structures.
    if (start < image_last && end > image_last) {
        start = align_up(image_last, page_size);
    }
    if (start >= end || usable_count == max_ranges) {
        return;
    }
    usable[usable_count++] = {start, end};
    information.memory_bytes += end - start;
}

void keep_range(u64 base, u64 size, u32 type) {
    // Firmware tables, in small ranges of other types, are read through the direct map too; device
    // windows, which are large, must not be in it.
    if (mapped_count < max_ranges && base < u64{1} << 46 &&
        (type == boot::usable_memory || size <= largest_firmware_range)) {
        mapped[mapped_count++] = {base, base + size};
    }
    if (type == boot::usable_memory) {
        keep_usable(base, base + size);
    }
}

// Version 0 has no map: there Xen tells it when asked.
void read_memory_map(const boot::hvm_start_info& info) {
    if (info.version >= 1 && info.memory_ranges != 0) {
        const auto* entry = static_cast<const boot::memory_range*>(phys_to_virt(info.memory_map));
        for (u32 i = 0; i < info.memory_ranges; ++i, ++entry) {
            keep_range(entry->base, entry->size, entry->type);
        }
        return;
    }
    static constinit xen::memory_entry asked[max_ranges]{};
    const u32 count = xen::read_memory_map(asked);
    if (count == 0) {
        panic("the PVH start info has version {} and no memory map; version 1 is needed",
              info.version);
    }
    for (u32 i = 0; i < count; ++i) {
        keep_range(asked[i].base, asked[i].size, asked[i].type);
    }
}

void choose_table_range() {
    u64 best = 0;
    for (usize i = 0; i < usable_count; ++i) {
        const u64 end = std::min(usable[i].end, boot_mapped_end);
        if (usable[i].start < end && end - usable[i].start > best) {
            best = end - usable[i].start;
            table_range = i;
        }
    }
    if (best == 0) {
        panic("no usable memory below 1 GiB in the loader's memory map of {} entries", usable_count);
    }
    // A range that crosses the limit is cut in two, so that its lower end can shrink.
    if (usable[table_range].end > boot_mapped_end && usable_count < max_ranges) {
        usable[usable_count++] = {boot_mapped_end, usable[table_range].end};
        usable[table_range].end = boot_mapped_end;
    }
}

}  // namespace

u64 take_boot_page() {
    boot_memory_range& range = usable[table_range];
    if (range.end - range.start < page_size) {
        panic("no memory left for the first page tables");
    }
    range.end -= page_size;
    return range.end;
}

const boot_information& read_start_info(u64 address) {
    const auto& info = *static_cast<const boot::hvm_start_info*>(phys_to_virt(address));
    if (info.magic != boot::start_info_magic) {
        panic("the loader gave no PVH start info: found magic {:08x}, wanted {:08x}", info.magic,
              boot::start_info_magic);
    }
    information.rsdp = info.rsdp;
    keep_command_line(info.command_line);
    read_memory_map(info);
    choose_table_range();
    finish_kernel_mappings({mapped, mapped_count});
    for (usize i = 0; i < usable_count; ++i) {
        add_memory(usable[i].start, usable[i].end);
    }
    return information;
}

}  // namespace kiln
