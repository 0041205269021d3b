// Physical memory before the page allocator runs, and what the loader told us.
#pragma once

#include <span>
#include <string_view>

#include "lib/types.hh"

namespace kiln {

struct boot_memory_range {
    u64 start;
    u64 end;
};

// What the loader handed over, copied to where it stays.
struct boot_information {
    std::string_view command_line;
    u64 rsdp = 0;
    u64 memory_bytes = 0;
};

// Reads hvm_start_info (Xen public/arch-x86/hvm/start_info.h) at a physical address: keeps the command
// line, finds usable memory, switches to the final kernel mappings and feeds the page allocator.
// Panics with a sentence when it is not one.
const boot_information& read_start_info(u64 address);

// A page for the first tables, physical. Panics when there is none.
u64 take_boot_page();

void finish_kernel_mappings(std::span<const boot_memory_range> memory);
// Forgets the mapping of low memory that boot and the start of other CPUs need; the program's half of
// the address space is empty afterwards.
void remove_identity_mapping();
u64 root_physical();

}  // namespace kiln
