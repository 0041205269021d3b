#include "drivers/acpi/tables.hh"

#include <algorithm>

#include "lib/bytes.hh"

namespace kiln::acpi {
namespace {

// Reads fields at offsets; what lies beyond the end reads as 0, which all tables use for "absent".
class field_reader {
public:
    explicit field_reader(table_bytes bytes) : _bytes(bytes) {}

    template <class T>
    T at(usize offset) const {
        return covers(offset, sizeof(T)) ? load<T>(_bytes.data() + offset) : T{0};
    }
    bool covers(usize offset, usize size) const {
        return offset <= _bytes.size() && size <= _bytes.size() - offset;
    }

    register_address generic_address(usize offset) const {
        register_address made;
        const u8 space = at<u8>(offset);
        made.width = at<u8>(offset + 1);
        made.address = at<u64>(offset + 4);
        made.where = register_address::space::none;
        if (space <= 1 && made.address != 0) {
            made.where = static_cast<register_address::space>(space);
        }
        return made;
    }

private:
    table_bytes _bytes;
};

register_address io_register(u32 port, u8 width) {
    register_address made;
    if (port != 0 && port <= 0xffff) {
        made.where = register_address::space::io;
        made.width = width;
        made.address = port;
    }
    return made;
}

void add_cpu(madt_information& to, u32 apic_id, u32 flags) {
    // Bit 0: usable now; bit 1: could be plugged in later, which we do not do.
    if (to.cpu_total < max_cpu_entries) {
        to.cpu[to.cpu_total++] = {apic_id, (flags & 1) != 0};
    }
}

void add_io_apic(madt_information& to, const field_reader& entry) {
    if (to.io_apic_total < max_io_apics) {
        to.io_apic[to.io_apic_total++] = {entry.at<u32>(4), entry.at<u32>(8), entry.at<u8>(2)};
    }
}

void add_override(madt_information& to, const field_reader& entry) {
    if (entry.at<u8>(2) != 0 || to.override_total == max_overrides) {
        return;
    }
    const u16 flags = entry.at<u16>(8);
    // Polarity and trigger: 0 means the bus's own (ISA: active high, edge), 3 low and level.
    to.overrides[to.override_total++] = {entry.at<u8>(3), entry.at<u32>(4), ((flags >> 2) & 3) == 3,
                                         (flags & 3) == 3};
}

void add_madt_entry(madt_information& to, u8 type, table_bytes bytes) {
    const field_reader entry(bytes);
    switch (type) {
        case 0:
            if (entry.covers(0, 8)) {
                add_cpu(to, entry.at<u8>(3), entry.at<u32>(4));
            }
            break;
        case 1:
            if (entry.covers(0, 12)) {
                add_io_apic(to, entry);
            }
            break;
        case 2:
            if (entry.covers(0, 10)) {
                add_override(to, entry);
            }
            break;
        case 5:
            if (entry.covers(0, 12)) {
                to.local_apic = entry.at<u64>(4);
            }
            break;
        case 9:
            if (entry.covers(0, 16)) {
                add_cpu(to, entry.at<u32>(4), entry.at<u32>(8));
            }
            break;
        default:
            break;
    }
}

// The extended field of the FADT when the table has it, else the old 32-bit port.
register_address either(const register_address& extended, const register_address& old) {
    return extended.present() ? extended : old;
}

}  // namespace

std::string_view table_signature(table_bytes header) {
    return {reinterpret_cast<const char*>(header.data()), std::min<usize>(4, header.size())};
}

bool checksum_is_right(table_bytes table) {
    u8 sum = 0;
    for (const std::byte value : table) {
        sum = static_cast<u8>(sum + static_cast<u8>(value));
    }
    return sum == 0;
}

result<root_pointer> parse_root_pointer(table_bytes bytes) {
    if (bytes.size() < 20 || !std::equal(bytes.begin(), bytes.begin() + 8,
                                         reinterpret_cast<const std::byte*>("RSD PTR "))) {
        return err::badmsg;
    }
    if (!checksum_is_right(bytes.first(20))) {
        return err::badmsg;
    }
    const field_reader reader(bytes);
    const bool extended = reader.at<u8>(15) >= 2 && bytes.size() >= root_pointer_size &&
                          checksum_is_right(bytes.first(root_pointer_size));
    if (extended && reader.at<u64>(24) != 0) {
        return root_pointer{reader.at<u64>(24), true};
    }
    return root_pointer{reader.at<u32>(16), false};
}

result<usize> table_length(table_bytes header) {
    if (header.size() < table_header_size) {
        return err::badmsg;
    }
    const usize length = load<u32>(header.data() + 4);
    if (length < table_header_size || length > largest_table) {
        return err::badmsg;
    }
    return length;
}

usize root_entries(table_bytes table, bool is_64_bit) {
    return table.size() < table_header_size
               ? 0
               : (table.size() - table_header_size) / (is_64_bit ? 8 : 4);
}

u64 root_entry(table_bytes table, bool is_64_bit, usize index) {
    const field_reader reader(table);
    return is_64_bit ? reader.at<u64>(table_header_size + index * 8)
                     : reader.at<u32>(table_header_size + index * 4);
}

void parse_madt(table_bytes table, madt_information& to) {
    const field_reader reader(table);
    if (!reader.covers(0, 44)) {
        return;
    }
    to = {};
    to.present = true;
    to.local_apic = reader.at<u32>(36);
    to.has_legacy_pics = (reader.at<u32>(40) & 1) != 0;
    for (usize offset = 44; reader.covers(offset, 2);) {
        const usize length = reader.at<u8>(offset + 1);
        if (length < 2 || !reader.covers(offset, length)) {
            break;
        }
        add_madt_entry(to, reader.at<u8>(offset), table.subspan(offset, length));
        offset += length;
    }
}

void parse_fadt(table_bytes table, fadt_information& to) {
    const field_reader reader(table);
    if (!reader.covers(0, 116)) {
        return;
    }
    to = {};
    to.present = true;
    const u32 flags = reader.at<u32>(112);
    to.dsdt = reader.at<u64>(140) != 0 ? reader.at<u64>(140) : reader.at<u32>(40);
    to.sci_interrupt = reader.at<u16>(46);
    to.smi_command = reader.at<u32>(48);
    to.acpi_enable = reader.at<u8>(52);
    to.pm1a_event = either(reader.generic_address(148), io_register(reader.at<u32>(56), 32));
    to.pm1_event_length = reader.at<u8>(88);
    to.has_fixed_power_button = (flags & (1u << 4)) == 0;
    to.pm1a_control = either(reader.generic_address(172), io_register(reader.at<u32>(64), 16));
    to.pm1b_control = either(reader.generic_address(184), io_register(reader.at<u32>(68), 16));
    to.pm_timer = either(reader.generic_address(208), io_register(reader.at<u32>(76), 32));
    to.boot_architecture = reader.at<u16>(109);
    to.pm_timer_is_32_bits = (flags & (1u << 8)) != 0;
    to.reset_supported = (flags & (1u << 10)) != 0;
    to.reset = reader.generic_address(116);
    to.reset_value = reader.at<u8>(128);
    to.hardware_reduced = (flags & (1u << 20)) != 0;
    to.sleep_control = reader.generic_address(244);
}

void parse_hpet(table_bytes table, hpet_information& to) {
    const field_reader reader(table);
    if (reader.covers(0, 56) && reader.at<u8>(40) == 0) {
        to = {reader.at<u64>(44), reader.at<u16>(53)};
    }
}

void parse_mcfg(table_bytes table, mcfg_segment& to) {
    const field_reader reader(table);
    for (usize offset = 44; reader.covers(offset, 16); offset += 16) {
        const mcfg_segment found{reader.at<u64>(offset), reader.at<u16>(offset + 8),
                                 reader.at<u8>(offset + 10), reader.at<u8>(offset + 11)};
        const bool sane = found.base != 0 && is_aligned(found.base, MiB) &&
                          found.first_bus <= found.last_bus;
        if (sane && found.segment == 0) {
            to = found;
            return;
        }
    }
}

void parse_spcr(table_bytes table, spcr_information& to) {
    const field_reader reader(table);
    // Interface types 0 and 1 are a full 16550 and one with a subset of its registers.
    if (reader.covers(0, 52) && reader.at<u8>(36) <= 1) {
        to.port = reader.generic_address(40);
        to.present = to.port.present();
    }
}

}  // namespace kiln::acpi
