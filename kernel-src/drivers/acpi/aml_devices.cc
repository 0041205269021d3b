// Devices of a DSDT that have no bus, by their hardware identifier. Not an interpreter: it knows the
// form that hypervisors generate, Device (…) {Name (_HID, "…") … Name (_CRS, Buffer {…})} with constant
// resources (ACPI 6.4, 20.2 and 6.4).
#include <algorithm>

#include "drivers/acpi/tables.hh"
#include "lib/bytes.hh"

namespace kiln::acpi {
namespace {

constexpr u8 name_op = 0x08, buffer_op = 0x11, string_prefix = 0x0d, byte_prefix = 0x0a,
             word_prefix = 0x0b;
constexpr u8 double_word_prefix = 0x0c, system_memory = 0;
constexpr u8 extended_op = 0x5b, device_op = 0x82, region_op = 0x80;
// One device alone, not a bus with others in it.
constexpr usize longest_device = 512;

// Resource descriptors (ACPI 6.4, 6.4.2 and 6.4.3).
constexpr u8 end_tag = 0x79, ports = 0x47, fixed_memory_32 = 0x86, extended_interrupt = 0x89;

table_bytes after(table_bytes bytes, std::string_view text) {
    const auto* wanted = reinterpret_cast<const std::byte*>(text.data());
    const auto found =
        std::search(bytes.begin(), bytes.end(), wanted, wanted + text.size());
    const usize offset = static_cast<usize>(found - bytes.begin());
    return found == bytes.end() ? table_bytes() : bytes.subspan(offset + text.size());
}

u8 byte_at(table_bytes bytes, usize at) {
    return at < bytes.size() ? static_cast<u8>(bytes[at]) : u8{0};
}

// What a length in front of `bytes` encloses, without itself (20.2.4); empty when that cannot be.
table_bytes enclosed(table_bytes bytes) {
    const u8 first = byte_at(bytes, 0);
    const usize more = first >> 6;
    usize length = more == 0 ? first & 0x3f : first & 0xf;
    for (usize i = 0; i < more; ++i) {
        length |= usize{byte_at(bytes, 1 + i)} << (4 + 8 * i);
    }
    const usize head = 1 + more;
    return length > head && length <= bytes.size() ? bytes.subspan(head, length - head)
                                                   : table_bytes();
}

bool has_identifier(table_bytes body, std::string_view identifier) {
    static constexpr char name[] = {name_op, '_', 'H', 'I', 'D', string_prefix};
    const table_bytes value = after(body, {name, sizeof(name)});
    return value.size() > identifier.size() && byte_at(value, identifier.size()) == 0 &&
           std::string_view(reinterpret_cast<const char*>(value.data()), identifier.size()) ==
               identifier;
}

table_bytes resources_of(table_bytes body) {
    static constexpr char name[] = {name_op, '_', 'C', 'R', 'S', buffer_op};
    const table_bytes buffer = enclosed(after(body, {name, sizeof(name)}));
    const u8 size_prefix = byte_at(buffer, 0);
    const usize head = size_prefix == byte_prefix ? 2 : size_prefix == word_prefix ? 3 : 1;
    return buffer.size() > head ? buffer.subspan(head) : table_bytes();
}

void take_resource(u8 tag, table_bytes body, device_resources& to) {
    if (tag == fixed_memory_32 && body.size() >= 9) {
        to.memory = load<u32>(&body[1]);
        to.memory_size = load<u32>(&body[5]);
    } else if (tag == extended_interrupt && body.size() >= 6) {
        const u8 flags = byte_at(body, 0);
        to.interrupt = load<u32>(&body[2]);
        to.level = (flags & 2) == 0;
        to.active_low = (flags & 4) != 0;
        to.has_interrupt = true;
    } else if (tag == ports && body.size() >= 7) {
        to.port = load<u16>(&body[1]);
    }
}

device_resources read_resources(table_bytes bytes) {
    device_resources made;
    while (!bytes.empty() && byte_at(bytes, 0) != end_tag) {
        const u8 tag = byte_at(bytes, 0);
        const bool large = (tag & 0x80) != 0;
        const usize head = large ? 3 : 1;
        const usize size = large ? usize{byte_at(bytes, 1)} | usize{byte_at(bytes, 2)} << 8 : tag & 7;
        if (head + size > bytes.size()) {
            break;
        }
        take_resource(tag, bytes.subspan(head, size), made);
        bytes = bytes.subspan(head + size);
    }
    return made;
}

// OperationRegion (name, SystemMemory, address of 32 bits, …) (20.2.5.2); 0 when there is none.
u64 region_of(table_bytes body, std::string_view name) {
    static constexpr char op[] = {extended_op, static_cast<char>(region_op)};
    const table_bytes region = after(body, {op, sizeof(op)});
    const usize head = name.size() + 2;
    const bool is_wanted =
        region.size() >= head + sizeof(u32) &&
        std::string_view(reinterpret_cast<const char*>(region.data()), name.size()) == name &&
        byte_at(region, name.size()) == system_memory &&
        byte_at(region, name.size() + 1) == double_word_prefix;
    return is_wanted ? load<u32>(&region[head]) : 0;
}

// The body of the next device with this identifier; empty when there is none. `rest` then begins with
// it.
table_bytes next_body(table_bytes& rest, std::string_view identifier) {
    static constexpr char op[] = {extended_op, static_cast<char>(device_op)};
    while (!(rest = after(rest, {op, sizeof(op)})).empty()) {
        const table_bytes body = enclosed(rest);
        if (body.size() <= longest_device && has_identifier(body, identifier)) {
            return body;
        }
    }
    return {};
}

}  // namespace

bool next_device(table_bytes& rest, std::string_view identifier, device_resources& to) {
    for (;;) {
        const table_bytes body = next_body(rest, identifier);
        if (body.empty()) {
            return false;
        }
        to = read_resources(resources_of(body));
        if (to.memory != 0 && to.has_interrupt) {
            return true;
        }
    }
}

u16 find_port_of(table_bytes dsdt, std::string_view identifier) {
    return read_resources(resources_of(next_body(dsdt, identifier))).port;
}

void find_event_device(table_bytes dsdt, event_device& to) {
    const table_bytes body = next_body(dsdt, "ACPI0013");
    const device_resources wiring = read_resources(resources_of(body));
    const u64 selector = region_of(body, "EREG");
    if (selector != 0 && wiring.has_interrupt) {
        to = {selector, wiring.interrupt, wiring.level, wiring.active_low};
    }
}

}  // namespace kiln::acpi
