// The host's stand-in for physical memory and the TLB (see memory.hh). A frame's number starts at
// first_frame, so that address 0 is never memory; descriptors lie in an array.
#include "tests/host/memory.hh"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>

#include "arch/x86_64/paging.hh"
#include "core/page_alloc.hh"

namespace kiln {
namespace {

constexpr u64 first_address = u64{64} << 20;
constexpr u64 frame_count = host::memory_size >> page_shift;

struct arena {
    std::byte* bytes;
    page* descriptors;

    arena() {
        bytes = static_cast<std::byte*>(mmap(nullptr, host::memory_size, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        descriptors = static_cast<page*>(std::calloc(frame_count, sizeof(page)));
        if (bytes == MAP_FAILED || descriptors == nullptr) {
            std::abort();
        }
        add_memory(first_address, first_address + host::memory_size);
    }
};

arena& memory() {
    static arena made;
    return made;
}

// Before any test allocates.
[[maybe_unused]] arena& at_start = memory();

std::atomic<u64> flushes{0};

}  // namespace

namespace host {

u64* make_root_table() {
    return static_cast<u64*>(page_data(*alloc_zeroed_page().take()));
}

void free_root_table(u64* root) {
    drop_page_reference(phys_to_page(virt_to_phys(root)));
}

u64 tlb_flushes() {
    return flushes;
}

}  // namespace host

u64 page_to_phys(const page& frame) {
    return first_address + (static_cast<u64>(&frame - memory().descriptors) << page_shift);
}

page& phys_to_page(u64 address) {
    return memory().descriptors[(address - first_address) >> page_shift];
}

void* phys_to_virt(u64 address) {
    return memory().bytes + (address - first_address);
}

u64 virt_to_phys(const void* address) {
    return first_address + static_cast<u64>(static_cast<const std::byte*>(address) - memory().bytes);
}

void map_page_descriptors(u64, usize, u64 (*)()) {}

bool page_descriptors_mapped(u64) {
    return true;
}

u64* root_table() {
    static u64* made = host::make_root_table();
    return made;
}

void flush_tlb_here(u64, u64) {}

void flush_tlb(u64, u64, bool) {
    ++flushes;
}

}  // namespace kiln
