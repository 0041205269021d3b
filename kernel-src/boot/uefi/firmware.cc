// See firmware.hh.

#include "firmware.hh"

#include "../console.hh"
#include "ranges.hh"

namespace boot {
namespace {

efi::system_table* table;
efi::handle image;

bool is_same(const efi::guid& one, const efi::guid& other) {
    auto* first = reinterpret_cast<const u64*>(&one);
    auto* second = reinterpret_cast<const u64*>(&other);
    return first[0] == second[0] && first[1] == second[1];
}

u64 find_table(const efi::guid& wanted) {
    for (usize at = 0; at < table->entries; ++at) {
        if (is_same(table->configuration[at].vendor, wanted)) {
            return reinterpret_cast<u64>(table->configuration[at].table);
        }
    }
    return 0;
}

// The firmware's map, in memory that holds a longer one too: taking memory may lengthen it, and after
// the first call of ExitBootServices none can be taken.
struct firmware_map {
    efi::memory_descriptor* first = nullptr;
    usize room = 0;
    usize bytes = 0;
    usize key = 0;
    usize stride = 0;

    bool read() {
        u32 version = 0;
        bytes = room;
        return services().get_memory_map(&bytes, first, &key, &stride, &version) == efi::success;
    }
};

firmware_map map;

void make_room_for_map() {
    constexpr usize spare = 4 * page_size;
    if (map.read() || map.stride < sizeof(efi::memory_descriptor)) {
        die("the firmware gives no map of the memory; use a machine with UEFI 2.0 or later");
    }
    map.room = map.bytes + spare;
    map.first = reinterpret_cast<efi::memory_descriptor*>(
        take_pages(map.room, ~0ull, efi::loader_data, "the firmware's map of the memory"));
}

u32 translate(memory_range* ranges) {
    range_list list{ranges, memory_map_limit};
    auto* at = reinterpret_cast<const u8*>(map.first);
    for (usize done = 0; done + map.stride <= map.bytes; done += map.stride) {
        list.add(*reinterpret_cast<const efi::memory_descriptor*>(at + done));
    }
    return list.count();
}

}  // namespace

void use_firmware(efi::handle own_image, efi::system_table* system) {
    image = own_image;
    table = system;
    // Without this, the firmware restarts the machine after five minutes, a sentence on the screen or not.
    services().set_watchdog_timer(0, 0, 0, nullptr);
}

efi::boot_services& services() { return *table->boot; }

efi::handle this_image() { return image; }

// On the way from here to the screen nothing can go wrong that could be told.
void put(char letter) {
    const u16 text[2] = {static_cast<u8>(letter), 0};
    table->output->output_string(table->output, text);
}

// With interrupts on: the firmware goes on showing what was said.
void halt() {
    while (true) {
        asm volatile("sti; hlt");
    }
}

u8* take_pages(u64 bytes, u64 limit, efi::memory_type type, const char* what) {
    u64 address = limit - 1;
    usize pages = (bytes + page_size - 1) / page_size;
    if (services().allocate_pages(efi::up_to_address, type, pages, &address) != efi::success) {
        die("there is no memory for ", what, " (", hex{bytes}, " bytes below ", hex{limit},
            "); give the machine more");
    }
    return reinterpret_cast<u8*>(address);
}

void hold(u64 base, u64 bytes) {
    u64 at = base & ~static_cast<u64>(page_size - 1);
    usize pages = (base + bytes - at + page_size - 1) / page_size;
    u64 whole = at;
    if (services().allocate_pages(efi::at_address, efi::loader_data, pages, &whole) ==
        efi::success) {
        return;
    }
    for (; pages > 0; --pages, at += page_size) {
        u64 page = at;
        services().allocate_pages(efi::at_address, efi::loader_data, 1, &page);
    }
}

void allow_execution(const void* at, u64 bytes) {
    void* found = nullptr;
    if (services().locate_protocol(&efi::memory_attribute_protocol, nullptr, &found) !=
        efi::success) {
        return;  // such firmware has the protocol
    }
    auto* attributes = static_cast<efi::memory_attributes*>(found);
    u64 whole = (bytes + page_size - 1) & ~static_cast<u64>(page_size - 1);
    efi::status status =
        attributes->clear(attributes, reinterpret_cast<u64>(at), whole, efi::not_executable);
    if (status != efi::success) {
        die("the firmware lets no code run at ", hex{reinterpret_cast<u64>(at)}, " (status ",
            hex{status & ~efi::error_bit}, "); report this with the machine's type");
    }
}

u64 find_rsdp() {
    u64 found = find_table(efi::acpi_2_table);
    if (found == 0) {
        found = find_table(efi::acpi_1_table);
    }
    if (found == 0) {
        die("the firmware has no ACPI tables; turn ACPI on for this machine");
    }
    return found;
}

u32 read_memory_map(memory_range* ranges) {
    if (map.first == nullptr) {
        make_room_for_map();
    }
    if (!map.read()) {
        die("the firmware's map of the memory cannot be read (", hex{map.bytes}, " bytes)");
    }
    u32 count = translate(ranges);
    if (count > memory_map_limit) {
        die("the firmware's map of the memory has more than ", memory_map_limit, " ranges");
    }
    return count;
}

u32 end_firmware(memory_range* ranges) {
    // A first call may change the map, which is what makes it fail (UEFI 2.10, section 7.4.6).
    for (u32 attempt = 0; attempt < 4; ++attempt) {
        u32 count = read_memory_map(ranges);
        if (services().exit_boot_services(image, map.key) == efi::success) {
            return count;
        }
    }
    die("the firmware does not end (ExitBootServices); report this with the machine's type");
}

}  // namespace boot
