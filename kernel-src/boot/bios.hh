// BIOS loader: the services of the BIOS and the ports, as functions.
//
// Purpose: block reads, the map of memory, address line 20.
// Invariants: what a function cannot do it reports with `die`; none returns a half result.
// Context: 32-bit protected mode; buffers handed to the BIOS are below 1 MiB.
#pragma once

#include "layout.hh"
#include "memory_map.hh"

namespace boot {

// Registers around a BIOS call; the order is the one that bios_call in stage2_entry.S pops.
struct bios_frame {
    u32 edi, esi, ebp, unused, ebx, edx, ecx, eax;
    u16 ds, es;
    u32 eflags;

    bool carry() const { return (eflags & 1) != 0; }
};
static_assert(sizeof(bios_frame) == 40);

extern "C" void bios_call(u32 vector, bios_frame* frame);

inline void out_byte(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

inline u8 in_byte(u16 port) {
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void set_boot_drive(u32 drive);

// Reads `count` (at most bounce_sectors) sectors into the bounce buffer; dies when the disk fails.
void read_sectors(u64 block, u32 count);

// Writes the BIOS's map to memory_map_address and returns the number of ranges.
u32 read_memory_map();

// Whether all of [base, base + size) is usable memory by the map read before.
bool is_usable(u64 base, u64 size);

void enable_a20();

}  // namespace boot
