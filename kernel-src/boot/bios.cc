// BIOS loader: block reads (INT 13h), the map of memory (INT 15h, E820h), address line 20.
//
// Invariants: every wait is bounded; every failure ends in a sentence.
// Context: 32-bit protected mode with bios_call for the real-mode services.

#include "bios.hh"

#include "console.hh"

namespace boot {
namespace {

u32 boot_drive;
u32 memory_ranges;

// EDD-1.1, section 4.2: what INT 13h, AH=42h takes.
struct disk_address_packet {
    u8 size;
    u8 reserved;
    u16 sectors;
    u16 offset;
    u16 segment;
    u64 block;
};
static_assert(sizeof(disk_address_packet) == 16);

constexpr u32 read_attempts = 4;

u8 try_read(u64 block, u32 count) {
    disk_address_packet packet{16, 0, static_cast<u16>(count), 0, bounce_buffer >> 4, block};
    bios_frame frame{};
    frame.eax = 0x4200;
    frame.edx = boot_drive;
    frame.esi = reinterpret_cast<u32>(&packet);
    bios_call(0x13, &frame);
    u8 status = static_cast<u8>(frame.eax >> 8);
    if (!frame.carry()) {
        return 0;
    }
    return status != 0 ? status : 0xff;
}

void reset_drive() {
    bios_frame frame{};
    frame.edx = boot_drive;
    bios_call(0x13, &frame);
}

// ACPI 6.4, section 15.1: INT 15h, E820h. Byte 20 exists only when the BIOS returns 24 bytes.
struct e820_entry {
    u64 base;
    u64 size;
    u32 type;
    u32 attributes;
};

constexpr u32 e820_signature = 0x534d4150;  // "SMAP"

// Asks for the entry at `position`; false when the map is at its end.
bool next_e820_entry(u32& position, e820_entry& entry, bool first) {
    bios_frame frame{};
    entry.attributes = 1;
    frame.eax = 0xe820;
    frame.ebx = position;
    frame.ecx = sizeof entry;
    frame.edx = e820_signature;
    frame.edi = reinterpret_cast<u32>(&entry);
    bios_call(0x15, &frame);
    bool valid = !frame.carry() && frame.eax == e820_signature && frame.ecx >= 20;
    if (!valid && first) {
        die("the BIOS gives no map of the memory (INT 15h, E820h); use a machine with a PC BIOS");
    }
    position = frame.ebx;
    return valid;
}

memory_range* ranges() { return reinterpret_cast<memory_range*>(memory_map_address); }

void keep_range(const e820_entry& entry) {
    if (entry.size == 0 || (entry.attributes & 1) == 0) {
        return;
    }
    if (memory_ranges == memory_map_limit) {
        die("the BIOS's map of the memory has more than ", memory_map_limit, " ranges");
    }
    ranges()[memory_ranges++] = {entry.base, entry.size, entry.type, 0};
}

// Line 20 is off when 1 MiB higher the same byte appears.
bool a20_is_on() {
    auto* low = reinterpret_cast<volatile u32*>(0x600);
    auto* high = reinterpret_cast<volatile u32*>(0x100600);
    u32 kept = *high;
    *low = 0x12345678;
    *high = 0x87654321;
    bool on = *low == 0x12345678;
    *high = kept;
    return on;
}

void ask_bios_for_a20() {
    bios_frame frame{};
    frame.eax = 0x2401;
    bios_call(0x15, &frame);
}

void ask_system_port_for_a20() {
    u8 value = in_byte(0x92);
    out_byte(0x92, static_cast<u8>((value | 2) & ~1));  // bit 0 would reset the machine
}

void wait_for_keyboard_controller() {
    for (u32 poll = 0; poll < 65536 && (in_byte(0x64) & 2) != 0; ++poll) {
    }
}

void ask_keyboard_controller_for_a20() {
    wait_for_keyboard_controller();
    out_byte(0x64, 0xd1);
    wait_for_keyboard_controller();
    out_byte(0x60, 0xdf);
    wait_for_keyboard_controller();
}

}  // namespace

void set_boot_drive(u32 drive) { boot_drive = drive; }

void read_sectors(u64 block, u32 count) {
    u8 status = 0;
    for (u32 attempt = 0; attempt < read_attempts; ++attempt) {
        status = try_read(block, count);
        if (status == 0) {
            return;
        }
        reset_drive();
    }
    die("cannot read blocks ", hex{block}, " to ", hex{block + count - 1}, " of BIOS drive ",
        hex{boot_drive}, " (status ", hex{status}, "); check the disk or write the image again");
}

u32 read_memory_map() {
    u32 position = 0;
    e820_entry entry{};
    memory_ranges = 0;
    // A BIOS that never ends its map is stopped by the limit in keep_range or by this count.
    for (u32 call = 0; call < 4 * memory_map_limit; ++call) {
        if (!next_e820_entry(position, entry, call == 0)) {
            break;
        }
        keep_range(entry);
        if (position == 0) {
            break;
        }
    }
    return memory_ranges;
}

bool is_usable(u64 base, u64 size) { return covers(ranges(), memory_ranges, base, size); }

void enable_a20() {
    void (*const ways[])() = {[] {}, ask_bios_for_a20, ask_system_port_for_a20,
                              ask_keyboard_controller_for_a20};
    for (auto way : ways) {
        way();
        for (u32 poll = 0; poll < 1024; ++poll) {
            if (a20_is_on()) {
                return;
            }
        }
    }
    die("address line 20 stays off: memory above 1 MiB cannot be reached on this machine");
}

}  // namespace boot
