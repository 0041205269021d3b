// The IO-APICs that the MADT names. route_gsi (interrupts.hh) is their one function.
#pragma once

#include "lib/result.hh"

namespace kiln {

// Maps them. After acpi_init, before the first route_gsi. A machine without
// one is fine as long as every device has MSI.
result<void> io_apic_init();

}  // namespace kiln
