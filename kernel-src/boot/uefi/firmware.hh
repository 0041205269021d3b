// UEFI loader: the firmware's services, as functions that say what failed.
//
// Invariants: what a function cannot do it reports with `die`; none returns a half result.
// Context: before ExitBootServices, unless it says so.
#pragma once

#include "../memory_map.hh"
#include "efi.hh"

namespace boot {

constexpr u32 page_size = 4096;
constexpr u32 sector_size = 512;
constexpr u32 memory_map_limit = 128;

void use_firmware(efi::handle image, efi::system_table* system);

efi::boot_services& services();
efi::handle this_image();

template <class Protocol>
Protocol* find_protocol(efi::handle device, const efi::guid& wanted) {
    void* found = nullptr;
    efi::status status = services().handle_protocol(device, &wanted, &found);
    return status == efi::success ? static_cast<Protocol*>(found) : nullptr;
}

// Pages below `limit`, which the firmware counts as the loader's.
u8* take_pages(u64 bytes, u64 limit, efi::memory_type type, const char* what);

// Takes what can be had of [base, base + bytes), so that no later take_pages lies there. The rest
// belongs to the firmware until it has ended.
void hold(u64 base, u64 bytes);

// Makes sure that code can run there where the firmware lets no written memory be executed.
void allow_execution(const void* at, u64 bytes);

// ACPI's root pointer.
u64 find_rsdp();

// The firmware's map of memory as the kernel gets it; returns the number of ranges.
u32 read_memory_map(memory_range* ranges);

// The same at the last moment, and the end of the boot services: nothing of the firmware may be called
// afterwards, so nothing can be said either.
u32 end_firmware(memory_range* ranges);

}  // namespace boot
