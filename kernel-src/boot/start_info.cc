// BIOS loader: the start info, and the search for ACPI's root pointer (ACPI 6.4, section 5.2.5.1).
//
// Invariants: the search reads only the first KiB of the EBDA and 0xe0000 to 0xfffff.
// Context: 32-bit protected mode.

#include "start_info.hh"

#include "console.hh"
#include "layout.hh"

namespace boot {
namespace {

constexpr u32 rsdp_size = 20;  // the part that ACPI 1.0 has, which the first checksum covers
constexpr u32 ebda_pointer = 0x40e;

bool is_rsdp(u32 address) {
    auto* words = reinterpret_cast<const u32*>(address);
    if (words[0] != 0x20445352 || words[1] != 0x20525450) {  // "RSD PTR "
        return false;
    }
    auto* bytes = reinterpret_cast<const u8*>(address);
    u8 sum = 0;
    for (u32 at = 0; at < rsdp_size; ++at) {
        sum = static_cast<u8>(sum + bytes[at]);
    }
    return sum == 0;
}

u32 find_rsdp_in(u32 from, u32 to) {
    for (u32 address = from; address < to; address += 16) {
        if (is_rsdp(address)) {
            return address;
        }
    }
    return 0;
}

u32 ebda_address() {
    // An address that GCC cannot take for a null object.
    u32 pointer = ebda_pointer;
    asm("" : "+r"(pointer));
    return static_cast<u32>(*reinterpret_cast<const u16*>(pointer)) << 4;
}

u32 find_rsdp() {
    u32 ebda = ebda_address();
    u32 found = 0;
    if (ebda >= low_memory_end && ebda < 0xa0000) {
        found = find_rsdp_in(ebda, ebda + 1024);
    }
    return found != 0 ? found : find_rsdp_in(0xe0000, 0x100000);
}

}  // namespace

u32 build_start_info(u32 memory_ranges) {
    u32 rsdp = find_rsdp();
    if (rsdp == 0) {
        die("the BIOS has no ACPI tables (no RSD PTR in the EBDA or from 0xe0000 on); "
            "turn ACPI on for this machine");
    }
    auto& info = *reinterpret_cast<hvm_start_info*>(start_info_address);
    fill_start_info(info, command_line_address, rsdp, memory_map_address, memory_ranges);
    return start_info_address;
}

}  // namespace boot
