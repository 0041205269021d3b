// Parsing of ACPI tables from bytes that nobody vouches for: every read is checked, a table with a
// wrong length or checksum is refused, entries that make no sense are skipped. No I/O, no state:
// also runs in the host tests and the fuzzer. (ACPI 6.4, chapter 5.)
#pragma once

#include <span>
#include <string_view>

#include "drivers/acpi/acpi.hh"
#include "lib/result.hh"

namespace kiln::acpi {

using table_bytes = std::span<const std::byte>;

inline constexpr usize table_header_size = 36;
inline constexpr usize root_pointer_size = 36;
// Longer tables are taken for damage.
inline constexpr usize largest_table = 4 * MiB;

struct root_pointer {
    u64 table = 0;         // XSDT when is_64_bit, else RSDT
    bool is_64_bit = false;
};

// The structure that starts with "RSD PTR "; `bytes` are those from its start (20 at least).
result<root_pointer> parse_root_pointer(table_bytes bytes);

std::string_view table_signature(table_bytes header);
// The length that a table's header claims; err::badmsg when it cannot be.
result<usize> table_length(table_bytes header);
bool checksum_is_right(table_bytes table);

// The addresses in an XSDT (8 bytes an entry) or RSDT (4 bytes).
usize root_entries(table_bytes table, bool is_64_bit);
u64 root_entry(table_bytes table, bool is_64_bit, usize index);

void parse_madt(table_bytes table, madt_information& to);
void parse_fadt(table_bytes table, fadt_information& to);
void parse_hpet(table_bytes table, hpet_information& to);
void parse_mcfg(table_bytes table, mcfg_segment& to);
void parse_spcr(table_bytes table, spcr_information& to);

// Looks for Name(_S5, Package() {…}) in a DSDT or SSDT. Not an interpreter: it knows that one form,
// which every firmware uses.
void find_s5(table_bytes table, sleep_state& to);

// The next device with this hardware identifier that has memory and an interrupt, in what is left of
// a DSDT; `rest` then begins inside it. False: none.
bool next_device(table_bytes& rest, std::string_view identifier, device_resources& to);

// The first I/O port of the device with this identifier; 0 when there is none.
u16 find_port_of(table_bytes dsdt, std::string_view identifier);

// The generic event device in the form that QEMU generates it.
void find_event_device(table_bytes dsdt, event_device& to);

}  // namespace kiln::acpi
