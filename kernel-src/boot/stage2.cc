// BIOS loader: the course of stage 2.
//
// Purpose: from the boot drive's number to the kernel's PVH entry.
// Invariants: silent when all is well; otherwise exactly one sentence, then the machine stands.
// Context: 32-bit protected mode, entered once from stage2_entry.S.

#include "bios.hh"
#include "console.hh"
#include "kernel_image.hh"
#include "layout.hh"
#include "start_info.hh"

namespace boot {
namespace {

void check_header(const boot_header& header) {
    if (header.version != header_version) {
        die("stage 2 is of version ", header.version, ", not ", header_version,
            "; write the image again");
    }
    if (header.kernel_block == 0 || header.kernel_bytes == 0) {
        die("the image builder put no kernel on this disk; write the image again");
    }
}

// The buffers must be memory, not the BIOS's own data.
void check_low_memory() {
    if (!is_usable(bounce_buffer, low_memory_end - bounce_buffer)) {
        die("the memory from ", hex{bounce_buffer}, " to ", hex{low_memory_end},
            " is not free on this machine");
    }
}

}  // namespace

extern "C" [[noreturn]] void enter_kernel(u32 entry, u32 start_info);

extern "C" [[noreturn]] void unexpected_exception(u32 vector, u32 error, u32 address) {
    die("exception ", vector, " (error code ", hex{error}, ") at ", hex{address},
        " inside the loader; report this with the machine's type");
}

extern "C" [[noreturn]] void stage2_main(u32 drive) {
    set_boot_drive(drive);
    check_header(loader_header);
    enable_a20();
    u32 ranges = read_memory_map();
    check_low_memory();
    load_command_line(loader_header);
    u32 entry = load_kernel(loader_header);
    enter_kernel(entry, build_start_info(ranges));
}

}  // namespace boot
