// Interrupts of devices: vectors, their handlers and the IO-APIC, seen from the drivers.
//
// A handler runs in interrupt context on the CPU of its vector, with interrupts off: it only
// acknowledges and wakes. The local APIC is acknowledged by the entry path after the handler.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

using interrupt_handler = void (*)(void* context);

// A vector on `cpu` that calls `handler(context)`. Vectors are never given back. err::nospc when
// there is none left. Context: threads.
result<u32> allocate_interrupt_vector(interrupt_handler handler, void* context, u32 cpu);

// The local APIC's number of a running CPU, and the address a device writes a vector to in order to
// interrupt it (Intel SDM vol. 3, 11.11).
u32 apic_id_of(u32 cpu);
inline u64 msi_address(u32 cpu) { return 0xfee0'0000 | u64{apic_id_of(cpu) & 0xff} << 12; }

// Makes the IO-APIC's input `gsi` raise `vector` on `cpu`. In arch/x86_64/ioapic.cc. Context: threads.
result<void> route_gsi(u32 gsi, u32 vector, bool level, bool active_low, u32 cpu);
// It raises none any more. Context: any.
void mask_gsi(u32 gsi);

}  // namespace kiln
