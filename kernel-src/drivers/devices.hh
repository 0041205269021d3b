// The drivers, seen from the boot code: three stages and two ways to end.
//
//   serial_init()      at once: COM1 for early lines and panics (serial_put works from here on)
//   acpi_init(rsdp)    with the direct map and map_device, before the other CPUs start
//   devices_init(line) in a thread, with interrupts and every CPU running
//
// After devices_init the block devices, the network device, the console's ports and the entropy
// source that exist are registered. A device that is absent costs nothing.
#pragma once

#include <string_view>

#include "lib/types.hh"

namespace kiln {

void serial_init();
// `rsdp` is the physical address of the root pointer that the loader gave, 0 to look for it in the
// BIOS area. Without usable tables everything that needs them is as if absent.
void acpi_init(u64 rsdp);
void devices_init(std::string_view boot_line);

// Calls `pressed`, in a thread, whenever the machine's power button is pressed: hypervisors do that when
// they are asked to shut it down. Where there is no button nothing happens. After devices_init.
void watch_power_button(void (*pressed)());

// Ends the machine. Everything buffered has been drained by the caller. Context: any; takes no
// locks, so that a panic can use it. When no way works they halt the CPU.
[[noreturn]] void power_off();
[[noreturn]] void reboot();
// After a panic: as power_off, but a host that tells crashes from ends is told of one.
[[noreturn]] void crash();

}  // namespace kiln
