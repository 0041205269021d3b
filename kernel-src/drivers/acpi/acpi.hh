// What the firmware's ACPI tables say, reduced to what the kernel uses. Filled once by acpi_init
// (drivers/devices.hh) and constant afterwards. Context: any.
#pragma once

#include <span>

#include "lib/types.hh"

namespace kiln::acpi {

inline constexpr u32 max_cpu_entries = 64;
inline constexpr u32 max_io_apics = 8;
inline constexpr u32 max_overrides = 24;

struct cpu_entry {
    u32 apic_id;
    bool enabled;
};

struct io_apic_entry {
    u64 address;
    u32 gsi_base;
    u8 id;
};

// An ISA interrupt that is wired otherwise than one to one, edge and active high.
struct override_entry {
    u8 irq;
    u32 gsi;
    bool level;
    bool active_low;
};

struct madt_information {
    bool present = false;
    u64 local_apic = 0xfee0'0000;
    bool has_legacy_pics = false;
    u32 cpu_total = 0;
    cpu_entry cpu[max_cpu_entries]{};
    u32 io_apic_total = 0;
    io_apic_entry io_apic[max_io_apics]{};
    u32 override_total = 0;
    override_entry overrides[max_overrides]{};
};

// A register in I/O or memory space (ACPI 6.4, 5.2.3.2 Generic Address Structure).
struct register_address {
    enum class space : u8 { memory = 0, io = 1, none = 0xff };
    space where = space::none;
    u8 width = 0;
    u64 address = 0;
    bool present() const { return where != space::none && address != 0; }
};

struct fadt_information {
    bool present = false;
    u64 dsdt = 0;
    u32 sci_interrupt = 0;
    u32 smi_command = 0;
    u8 acpi_enable = 0;
    register_address pm_timer;
    bool pm_timer_is_32_bits = false;
    register_address pm1a_event;
    u8 pm1_event_length = 0;
    register_address pm1a_control;
    register_address pm1b_control;
    // Else it is a device of the DSDT.
    bool has_fixed_power_button = false;
    bool reset_supported = false;
    register_address reset;
    u8 reset_value = 0;
    // Hardware-reduced machines sleep through these instead of PM1 (ACPI 6.4, 4.8.3.7).
    bool hardware_reduced = false;
    register_address sleep_control;
    // IAPC_BOOT_ARCH, "VGA not present" and so on; bit 1: an 8042 exists.
    u16 boot_architecture = 0;
};

struct mcfg_segment {
    u64 base = 0;
    u16 segment = 0;
    u8 first_bus = 0;
    u8 last_bus = 0;
    bool present() const { return base != 0; }
};

// The values that PM1 control takes for power-off: the package \_S5 of the DSDT.
struct sleep_state {
    bool present = false;
    u8 type_a = 0;
    u8 type_b = 0;
};

struct hpet_information {
    u64 address = 0;  // 0: none
    u16 minimum_tick = 0;
};

struct spcr_information {
    bool present = false;
    register_address port;
};

// QEMU's generic event device, which tells a machine with reduced hardware what has happened.
struct event_device {
    u64 selector = 0;  // reading it says what, and takes it back; 0: there is none
    u32 interrupt = 0;
    bool level = false;
    bool active_low = false;
};

// Where a device without a bus is.
struct device_resources {
    u64 memory = 0;
    u64 memory_size = 0;
    u16 port = 0;  // the first of its I/O ports
    bool has_interrupt = false;
    u32 interrupt = 0;  // the input that it is wired to
    bool level = false;
    bool active_low = false;
};

struct information {
    bool present = false;
    madt_information madt;
    fadt_information fadt;
    hpet_information hpet;
    mcfg_segment mcfg;  // segment 0
    spcr_information spcr;
    sleep_state s5;
    event_device events;
    std::span<const std::byte> dsdt;
    // Registers that end the machine, where they are in memory; mapped, so that a panic can use them.
    volatile u8* sleep_control = nullptr;
    volatile u8* reset = nullptr;
};

const information& tables();

// Where an ISA interrupt really arrives, with its polarity and trigger.
override_entry isa_interrupt(u8 irq);

}  // namespace kiln::acpi
