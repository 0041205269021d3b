// What a machine without ACPI says of its CPUs and interrupts: the MP configuration table
// (MultiProcessor Specification 1.4, chapter 4). microVMs have one. Parsing of bytes that nobody
// vouches for, as in tables.hh.
#pragma once

#include "drivers/acpi/tables.hh"

namespace kiln::acpi {

inline constexpr usize mp_pointer_size = 16, mp_header_size = 44;

// The configuration table's address in the structure that starts with "_MP_".
result<u64> parse_mp_pointer(table_bytes bytes);
// The size that the table's head claims; err::badmsg when there is no table.
result<usize> mp_table_length(table_bytes header);
// The whole table, as what a MADT would say.
result<void> parse_mp_table(table_bytes table, madt_information& to);

}  // namespace kiln::acpi
