#include "drivers/acpi/mp_table.hh"

#include "lib/bytes.hh"

namespace kiln::acpi {
namespace {

// Entries (4.3): that of a CPU has 20 bytes, all others 8.
namespace entry {
constexpr u8 cpu = 0, bus = 1, io_apic = 2, interrupt = 3;
}
constexpr usize cpu_entry_size = 20, other_entry_size = 8;
constexpr u8 vectored_interrupt = 0, usable = 1;
// The only number of inputs that machines without ACPI have.
constexpr u32 inputs_of_an_io_apic = 24;

u8 byte_at(table_bytes bytes, usize at) {
    return static_cast<u8>(bytes[at]);
}

std::string_view text_at(table_bytes bytes, usize at, usize size) {
    return {reinterpret_cast<const char*>(bytes.data()) + at, size};
}

class reader {
public:
    explicit reader(madt_information& to) : _to(to) {}

    void take(u8 type, table_bytes bytes) {
        if (type == entry::cpu && _to.cpu_total < max_cpu_entries) {
            _to.cpu[_to.cpu_total++] = {byte_at(bytes, 1), (byte_at(bytes, 3) & usable) != 0};
        } else if (type == entry::bus && text_at(bytes, 2, 3) == "ISA") {
            _isa = byte_at(bytes, 1);
        } else if (type == entry::io_apic && (byte_at(bytes, 3) & usable) != 0) {
            take_io_apic(bytes);
        } else if (type == entry::interrupt && byte_at(bytes, 1) == vectored_interrupt) {
            take_interrupt(bytes);
        }
    }

private:
    void take_io_apic(table_bytes bytes) {
        if (_to.io_apic_total < max_io_apics) {
            const u32 first = _to.io_apic_total * inputs_of_an_io_apic;
            _to.io_apic[_to.io_apic_total++] = {load<u32>(&bytes[4]), first, byte_at(bytes, 1)};
        }
    }

    // Buses come before the interrupts. Only what is wired otherwise than one to one is kept.
    void take_interrupt(table_bytes bytes) {
        const u16 flags = load<u16>(&bytes[2]);
        const u8 irq = byte_at(bytes, 5), input = byte_at(bytes, 7);
        const bool low = (flags & 3) == 3, level = (flags >> 2 & 3) == 3;
        const bool is_isa = byte_at(bytes, 4) == _isa;
        const bool as_usual = irq == input && !low && !level;
        if (is_isa && !as_usual && _to.override_total < max_overrides) {
            _to.overrides[_to.override_total++] = {irq, input, level, low};
        }
    }

    madt_information& _to;
    u32 _isa = 0x100;
};

}  // namespace

result<u64> parse_mp_pointer(table_bytes bytes) {
    const bool right = bytes.size() >= mp_pointer_size && text_at(bytes, 0, 4) == "_MP_" &&
                       byte_at(bytes, 8) == 1 && checksum_is_right(bytes.first(mp_pointer_size));
    const u64 table = right ? load<u32>(&bytes[4]) : 0;
    return table != 0 ? result<u64>(table) : err::badmsg;
}

result<usize> mp_table_length(table_bytes header) {
    if (header.size() < mp_header_size || text_at(header, 0, 4) != "PCMP") {
        return err::badmsg;
    }
    const usize length = load<u16>(&header[4]);
    return length >= mp_header_size ? result<usize>(length) : err::badmsg;
}

result<void> parse_mp_table(table_bytes table, madt_information& to) {
    if (TRY(mp_table_length(table)) != table.size() || !checksum_is_right(table)) {
        return err::badmsg;
    }
    to = {};
    to.present = true;
    to.has_legacy_pics = true;
    to.local_apic = load<u32>(&table[36]);
    reader entries(to);
    // Not by the count of entries in the head: qboot leaves it at 0.
    for (usize at = mp_header_size; at < table.size();) {
        const u8 type = byte_at(table, at);
        const usize size = type == entry::cpu ? cpu_entry_size : other_entry_size;
        if (size > table.size() - at) {
            break;
        }
        entries.take(type, table.subspan(at, size));
        at += size;
    }
    return {};
}

}  // namespace kiln::acpi
