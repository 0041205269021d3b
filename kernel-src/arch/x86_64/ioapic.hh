// The IO-APICs that the MADT names. route_gsi (interrupts.hh) is their one function. And the two
// 8259s, which are of no use.
#pragma once

#include "lib/result.hh"

namespace kiln {

// Before interrupts are first allowed: a BIOS leaves its timer tick going, by the first 8259 and on
// vector 8, which is that of double faults. VirtualBox delivers one that waits whatever the local
// APIC's LINT0 says, and even when it is masked now: so they also get vectors that do no harm.
void silence_legacy_controllers();

// Maps them. After acpi_init, before the first route_gsi. A machine without
// one is fine as long as every device has MSI.
result<void> io_apic_init();

}  // namespace kiln
