// Where virtio devices are that have no bus: what a DSDT says of them, or the boot line.
#pragma once

#include <string_view>

#include "drivers/acpi/tables.hh"
#include "lib/vector.hh"

namespace kiln::virtio {

struct mmio_place {
    u64 address = 0;
    u64 size = 0;
    u32 interrupt = 0;      // an ISA interrupt's number, or else the input of an IO-APIC
    bool is_isa = false;
    bool level = false;
    bool active_low = false;
};

// The hardware identifier is the one that Linux and QEMU gave to virtio-mmio.
result<void> find_in_dsdt(acpi::table_bytes dsdt, vector<mmio_place>& found);

// Settings virtio_mmio.device=SIZE@ADDRESS:INTERRUPT[:NUMBER] of a boot line, as hypervisors write
// them, behind a program's arguments too: SIZE with K, M or G, numbers in C's notation. What is none is
// skipped.
result<void> find_in_boot_line(std::string_view line, vector<mmio_place>& found);

}  // namespace kiln::virtio
