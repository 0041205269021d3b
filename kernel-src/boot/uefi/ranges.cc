// See ranges.hh.

#include "ranges.hh"

namespace boot {
namespace {

// The types of the table are those of ACPI 6.4, section 15: address range types.
constexpr u32 kept_by_firmware = 2;
constexpr u32 acpi_tables = 3;
constexpr u32 acpi_kept = 4;
constexpr u32 broken = 5;
constexpr u32 persistent = 7;

// What memory is when the boot services have ended (UEFI 2.10, section 7.2, table 7.10).
u32 type_for_kernel(u32 type) {
    switch (type) {
        case efi::loader_code:
        case efi::loader_data:
        case efi::boot_services_code:
        case efi::boot_services_data:
        case efi::conventional_memory:
            return usable_memory;
        case efi::acpi_reclaim_memory:
            return acpi_tables;
        case efi::acpi_nvs_memory:
            return acpi_kept;
        case efi::unusable_memory:
            return broken;
        case efi::persistent_memory:
            return persistent;
        default:
            return kept_by_firmware;
    }
}

}  // namespace

void range_list::add(const efi::memory_descriptor& part) {
    // Windows of devices are no memory: a BIOS's map does not have them either.
    if (part.pages == 0 || part.type == efi::device_memory || part.type == efi::device_ports) {
        return;
    }
    insert(part.base, part.pages * 4096, type_for_kernel(part.type));
}

void range_list::insert(u64 base, u64 size, u32 type) {
    if (_count >= _limit) {
        _count = _limit + 1;
        return;
    }
    u32 at = _count++;
    for (; at > 0 && _ranges[at - 1].base > base; --at) {
        _ranges[at] = _ranges[at - 1];
    }
    _ranges[at] = {base, size, type, 0};
    join(at);
    if (at > 0) {
        join(at - 1);
    }
}

// Makes one of a range and its follower, if they touch.
void range_list::join(u32 at) {
    if (at + 1 >= _count) {
        return;
    }
    memory_range& range = _ranges[at];
    const memory_range& next = _ranges[at + 1];
    if (range.type != next.type || range.base + range.size != next.base) {
        return;
    }
    range.size += next.size;
    --_count;
    for (u32 move = at + 1; move < _count; ++move) {
        _ranges[move] = _ranges[move + 1];
    }
}

}  // namespace boot
