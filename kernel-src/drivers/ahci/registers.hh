// Registers and structures of an AHCI host bus adapter. Numbers are those of Serial ATA AHCI 1.3.1
// (sections 3: registers, 4.2: structures).
#pragma once

#include "lib/types.hh"

namespace kiln::ahci {

namespace hba {
inline constexpr usize capabilities = 0x00, control = 0x04, interrupt_status = 0x08,
                       ports_implemented = 0x0c, capabilities_2 = 0x24, handoff = 0x28;
inline constexpr u32 reset = 1u << 0, interrupts = 1u << 1, ahci_mode = 1u << 31;  // control
inline constexpr u32 staggered = 1u << 27, addresses_64_bit = 1u << 31;            // capabilities
inline constexpr u32 can_hand_off = 1u << 0;                                       // capabilities_2
inline constexpr u32 bios_owned = 1u << 0, os_owned = 1u << 1, bios_busy = 1u << 4;  // handoff
inline constexpr u32 most_ports = 32;
}

namespace port_reg {
inline constexpr usize first = 0x100, size = 0x80;
inline constexpr usize command_list = 0x00, received_fis = 0x08, interrupt_status = 0x10,
                       interrupt_enable = 0x14, command = 0x18, task_file = 0x20, signature = 0x24,
                       sata_status = 0x28, sata_control = 0x2c, sata_error = 0x30, issue = 0x38;
// command
inline constexpr u32 start = 1u << 0, spin_up = 1u << 1, power_on = 1u << 2, fis_receive = 1u << 4,
                     fis_running = 1u << 14, list_running = 1u << 15;
// interrupt_status and _enable
inline constexpr u32 device_to_host = 1u << 0, pio_setup = 1u << 1, dma_setup = 1u << 2,
                     errors = 1u << 30 | 1u << 29 | 1u << 28 | 1u << 27 | 1u << 24;
// task_file
inline constexpr u32 busy = 1u << 7, data_request = 1u << 3, error = 1u << 0;
inline constexpr u32 disk_signature = 0x0000'0101;
inline constexpr u32 link_mask = 0xf, link_up = 3;  // sata_status
}

// One of 32 in a port's list.
struct command_header {
    u16 flags;
    u16 regions;
    u32 bytes_moved;
    u64 table;
    u32 reserved[4];
};
static_assert(sizeof(command_header) == 32);
inline constexpr u16 fis_words = 5, writes = 1u << 6;  // flags

struct region {
    u64 address;
    u32 reserved;
    u32 bytes_less_1;  // odd; at most 4 MiB
};
static_assert(sizeof(region) == 16);

// Host to device register FIS.
struct command_fis {
    u8 type;
    u8 flags;
    u8 command;
    u8 features;
    u8 lba_low[3];
    u8 device;
    u8 lba_high[3];
    u8 features_high;
    u8 count[2];
    u8 reserved[6];
};
static_assert(sizeof(command_fis) == 20);
inline constexpr u8 fis_host_to_device = 0x27, fis_is_command = 1u << 7, device_lba = 1u << 6;

inline constexpr usize most_regions = 66;
struct command_table {
    command_fis fis;
    u8 reserved[0x80 - sizeof(command_fis)];
    region regions[most_regions];
};

}  // namespace kiln::ahci
