// kernel only
// Finds the ACPI tables in memory and keeps what they say. Runs once, on the boot CPU.
#include "drivers/acpi/acpi.hh"

#include <algorithm>

#include "arch/x86_64/paging.hh"
#include "core/log.hh"
#include "drivers/acpi/mp_table.hh"
#include "drivers/acpi/tables.hh"
#include "drivers/devices.hh"

namespace kiln {
namespace acpi {
namespace {

constinit information found;

constexpr u64 bios_area = 0xe'0000, bios_area_end = 0x10'0000;
constexpr u64 ebda_segment_word = 0x40e;
constexpr usize most_root_entries = 128;

result<table_bytes> map_bytes(u64 address, usize size) {
    auto* mapped = static_cast<const std::byte*>(TRY(map_device(address, size)));
    return table_bytes(mapped, size);
}

// The whole table at a physical address, its length and checksum verified.
result<table_bytes> map_table(u64 address) {
    if (address == 0) {
        return err::noent;
    }
    const table_bytes header = TRY(map_bytes(address, table_header_size));
    const usize length = TRY(table_length(header));
    // Most tables lie within the pages that are mapped already.
    const bool mapped = (address % page_size) + length <= align_up((address % page_size) +
                                                                   table_header_size, page_size);
    const table_bytes whole = mapped ? table_bytes(header.data(), length)
                                     : TRY(map_bytes(address, length));
    if (!checksum_is_right(whole)) {
        log_warning("acpi: table {} at {:x} has a wrong checksum", table_signature(header),
                    address);
        return err::badmsg;
    }
    return whole;
}

// Whether a structure that firmware leaves in low memory is there.
using recogniser = bool (*)(table_bytes bytes);

u64 scan_area(u64 from, u64 to, recogniser is_it) {
    auto area = map_bytes(from, to - from);
    if (!area.ok()) {
        return 0;
    }
    for (usize at = 0; at + 20 <= area.value().size(); at += 16) {
        if (is_it(area.value().subspan(at))) {
            return from + at;
        }
    }
    return 0;
}

u64 scan_low_memory(recogniser is_it) {
    auto word = map_bytes(ebda_segment_word, 2);
    if (word.ok()) {
        const u64 ebda =
            (static_cast<u64>(word.value()[0]) | static_cast<u64>(word.value()[1]) << 8) << 4;
        if (ebda >= 0x8'0000 && ebda < 0xa'0000) {
            const u64 address = scan_area(ebda, ebda + KiB, is_it);
            if (address != 0) {
                return address;
            }
        }
    }
    return scan_area(bios_area, bios_area_end, is_it);
}

bool is_root_pointer(table_bytes bytes) {
    return parse_root_pointer(bytes).ok();
}

bool is_mp_pointer(table_bytes bytes) {
    return parse_mp_pointer(bytes).ok();
}

// At the end of a PC's 640 KiB too.
u64 find_mp_pointer() {
    constexpr u64 base_memory_end = 0xa'0000;
    const u64 at_end = scan_area(base_memory_end - KiB, base_memory_end, &is_mp_pointer);
    return at_end != 0 ? at_end : scan_low_memory(&is_mp_pointer);
}

result<void> read_mp_table() {
    const u64 pointer = find_mp_pointer();
    if (pointer == 0) {
        return err::noent;
    }
    const table_bytes bytes = TRY(map_bytes(pointer, mp_pointer_size));
    const u64 place = TRY(parse_mp_pointer(bytes));
    const table_bytes header = TRY(map_bytes(place, mp_header_size));
    const usize length = TRY(mp_table_length(header));
    const table_bytes whole = TRY(map_bytes(place, length));
    return parse_mp_table(whole, found.madt);
}

volatile u8* map_register(const register_address& which) {
    if (which.where != register_address::space::memory || !which.present()) {
        return nullptr;
    }
    auto mapped = map_device(which.address, 1);
    return mapped.ok() ? static_cast<volatile u8*>(mapped.value()) : nullptr;
}

void take_table(u64 address) {
    auto table = map_table(address);
    if (!table.ok()) {
        return;
    }
    const table_bytes bytes = table.value();
    const std::string_view signature = table_signature(bytes);
    if (signature == "APIC") {
        parse_madt(bytes, found.madt);
    } else if (signature == "FACP") {
        parse_fadt(bytes, found.fadt);
    } else if (signature == "HPET") {
        parse_hpet(bytes, found.hpet);
    } else if (signature == "MCFG") {
        parse_mcfg(bytes, found.mcfg);
    } else if (signature == "SPCR") {
        parse_spcr(bytes, found.spcr);
    } else if (signature == "SSDT" && !found.s5.present) {
        find_s5(bytes, found.s5);
    }
}

result<void> read_tables(u64 rsdp) {
    const table_bytes bytes = TRY(map_bytes(rsdp, root_pointer_size));
    const root_pointer root = TRY(parse_root_pointer(bytes));
    const table_bytes list = TRY(map_table(root.table));
    found.present = true;
    const usize entries = std::min(root_entries(list, root.is_64_bit), most_root_entries);
    for (usize i = 0; i < entries; ++i) {
        take_table(root_entry(list, root.is_64_bit, i));
    }
    auto dsdt = map_table(found.fadt.dsdt);
    if (dsdt.ok()) {
        found.dsdt = dsdt.value();
        find_s5(found.dsdt, found.s5);
        if (found.fadt.hardware_reduced) {
            find_event_device(found.dsdt, found.events);
        }
    }
    found.sleep_control = map_register(found.fadt.sleep_control);
    found.reset = map_register(found.fadt.reset);
    return {};
}

}  // namespace

const information& tables() {
    return found;
}

override_entry isa_interrupt(u8 irq) {
    for (u32 i = 0; i < found.madt.override_total; ++i) {
        if (found.madt.overrides[i].irq == irq) {
            return found.madt.overrides[i];
        }
    }
    return {irq, irq, false, false};
}

}  // namespace acpi

void acpi_init(u64 rsdp) {
    if (rsdp == 0) {
        rsdp = acpi::scan_low_memory(&acpi::is_root_pointer);
    }
    if (rsdp == 0) {
        if (!acpi::read_mp_table().ok()) {
            log_warning("acpi: no tables found, nor an MP table");
        }
        return;
    }
    auto outcome = acpi::read_tables(rsdp);
    if (!outcome.ok()) {
        log_warning("acpi: the tables at {:x} cannot be used (error {})", rsdp, outcome.error());
    }
}

}  // namespace kiln
