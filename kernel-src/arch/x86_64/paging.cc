// The kernel's half of the page tables. See paging.hh and layout.hh.
//
// The boot tables map the first GiB everywhere and executable; finish_kernel_mappings replaces them by
// final ones in which nothing is writable and executable. After boot the kernel's half only grows, by
// map_kernel_page under `lock`; tables are never freed, so readers need no lock.
#include "arch/x86_64/paging.hh"

#include <algorithm>

#include "arch/x86_64/apic.hh"
#include "arch/x86_64/boot_memory.hh"
#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/layout.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "core/log.hh"
#include "core/mutex.hh"
#include "core/page.hh"
#include "core/page_alloc.hh"
#include "core/sched.hh"
#include "core/thread.hh"
#include "core/user.hh"
#include "core/wait_queue.hh"

extern "C" {
extern kiln::u64 boot_root[512];
extern char image_start[], text_end[], rodata_end[], image_end[];
}

namespace kiln {
namespace {

constexpr usize entries = 512;
// Beyond this many pages one reload of CR3 is cheaper than invlpg for each.
constexpr u64 single_flush_pages = 32;

constinit irq_spinlock lock;
constinit std::atomic<u64> next_dynamic{layout::dynamic_start};

using table_source = u64 (*)();

u64 table_from_allocator() {
    result<page*> made = alloc_zeroed_page(alloc_mode::nowait);
    return made.ok() ? page_to_phys(*made.value()) : 0;
}

u64* table_at(u64 entry) {
    return static_cast<u64*>(phys_to_virt(entry & pte::address_mask));
}

u32 index_at(u64 address, u32 level) {
    return static_cast<u32>(address >> (page_shift + 9 * level)) % entries;
}

// The entry for `address` at `level` (0: 4 KiB, 1: 2 MiB), making tables on the way; null without
// memory. A new table is zero.
u64* entry_for(u64 address, u32 level, table_source source) {
    u64* table = root_table();
    for (u32 at = 3; at > level; --at) {
        u64& entry = table[index_at(address, at)];
        if ((entry & pte::present) == 0) {
            const u64 made = source();
            if (made == 0) {
                return nullptr;
            }
            entry = made | pte::present | pte::writable;
        }
        table = table_at(entry);
    }
    return &table[index_at(address, level)];
}

u64 bits_of(kernel_mapping kind) {
    const u64 common = pte::present | pte::no_execute | pte::accessed | pte::global;
    switch (kind) {
        case kernel_mapping::data: return common | pte::writable | pte::dirty;
        case kernel_mapping::read_only: return common;
        case kernel_mapping::device:
            return common | pte::writable | pte::dirty | pte::no_cache | pte::write_through;
    }
    return 0;
}

u64 image_bits(u64 address) {
    if (address < reinterpret_cast<u64>(text_end)) {
        return pte::present | pte::global;
    }
    return bits_of(address < reinterpret_cast<u64>(rodata_end) ? kernel_mapping::read_only
                                                              : kernel_mapping::data);
}

// Early tables: pages of the boot memory, zeroed.
u64 boot_table() {
    const u64 made = take_boot_page();
    __builtin_memset(phys_to_virt(made), 0, page_size);
    return made;
}

u64 image_physical(u64 address) {
    return address - layout::image_base;
}

// The direct map of [start, end) by 2 MiB pages, but for the image's own pages, by small ones of which
// text and constants are read-only.
void map_direct(u64* root, u64 start, u64 end) {
    const u64 image_first = image_physical(reinterpret_cast<u64>(image_start));
    const u64 image_last = image_physical(reinterpret_cast<u64>(image_end));
    for (u64 at = align_down(start, large_page_size); at < end; at += large_page_size) {
        const u64 address = layout::direct_map + at;
        u64* table = root;
        for (u32 level = 3; level > 1; --level) {
            u64& entry = table[index_at(address, level)];
            if ((entry & pte::present) == 0) {
                entry = boot_table() | pte::present | pte::writable;
            }
            table = table_at(entry);
        }
        u64& entry = table[index_at(address, 1)];
        if (at + large_page_size <= image_first || at >= image_last) {
            entry = at | bits_of(kernel_mapping::data) | pte::large;
            continue;
        }
        if ((entry & pte::present) == 0) {
            entry = boot_table() | pte::present | pte::writable;
        }
        for (u64 small = 0; small < entries; ++small) {
            const u64 physical = at + small * page_size;
            const bool constant = physical >= image_first &&
                                  physical < image_physical(reinterpret_cast<u64>(rodata_end));
            table_at(entry)[small] =
                physical | bits_of(constant ? kernel_mapping::read_only : kernel_mapping::data);
        }
    }
}

void map_image(u64* root) {
    const u64 pointers = boot_table();
    const u64 directory = boot_table();
    root[511] = pointers | pte::present | pte::writable;
    table_at(pointers)[510] = directory | pte::present | pte::writable;
    const auto end = reinterpret_cast<u64>(image_end);
    for (auto at = reinterpret_cast<u64>(image_start); at < end; at += page_size) {
        u64& entry = table_at(directory)[index_at(at, 1)];
        if ((entry & pte::present) == 0) {
            entry = boot_table() | pte::present | pte::writable;
        }
        table_at(entry)[index_at(at, 0)] = image_physical(at) | image_bits(at);
    }
}

struct flush_request {
    mutex one_at_a_time;
    std::atomic<u64> start{0};
    std::atomic<u64> end{0};
    std::atomic<u32> waiting{0};
    wait_queue answered;
};

// About 20 us. A CPU that takes longer has its interrupts off or, more likely, is a virtual one that
// the host does not run now: spinning would only keep it from running.
constexpr u32 spins_before_sleep = 500;

constinit flush_request request;

// CPUs that were idle during a flush: they forget everything before they run the program again.
constinit std::atomic<bool> missed_flush[max_cpus]{};

}  // namespace

u64* root_table() {
    return static_cast<u64*>(phys_to_virt(image_physical(reinterpret_cast<u64>(boot_root))));
}

u64 root_physical() {
    return image_physical(reinterpret_cast<u64>(boot_root));
}

void finish_kernel_mappings(std::span<const boot_memory_range> memory) {
    u64* fresh = table_at(boot_table());
    for (const boot_memory_range& range : memory) {
        map_direct(fresh, range.start, range.end);
    }
    map_image(fresh);
    // The identity mapping stays until the other CPUs have started.
    for (usize i = entries / 2; i < entries; ++i) {
        root_table()[i] = fresh[i];
    }
    write_cr3(root_physical());
}

void remove_identity_mapping() {
    root_table()[0] = 0;
    write_cr3(root_physical());
}

void* phys_to_virt(u64 address) {
    return reinterpret_cast<void*>(layout::direct_map + address);
}

u64 virt_to_phys(const void* address) {
    const auto value = reinterpret_cast<u64>(address);
    if (value >= layout::image_base) {
        return image_physical(value);
    }
    if (value >= layout::dynamic_start && value < layout::dynamic_end) {
        // Kernel stacks: a device may be given a buffer there. Their pages are contiguous.
        return (*entry_for(value, 0, nullptr) & pte::address_mask) + value % page_size;
    }
    return value - layout::direct_map;
}

u64 page_to_phys(const page& frame) {
    return static_cast<u64>(&frame - reinterpret_cast<const page*>(layout::page_array)) << page_shift;
}

page& phys_to_page(u64 address) {
    return reinterpret_cast<page*>(layout::page_array)[address >> page_shift];
}

bool page_descriptors_mapped(u64 first_frame) {
    u64 address = layout::page_array + first_frame * sizeof(page);
    u64* table = root_table();
    for (u32 level = 3; level > 0; --level) {
        const u64 entry = table[index_at(address, level)];
        if ((entry & pte::present) == 0) {
            return false;
        }
        table = table_at(entry);
    }
    return (table[index_at(address, 0)] & pte::present) != 0;
}

void map_page_descriptors(u64 first_frame, usize count, u64 (*spare)()) {
    static_assert(1024 * sizeof(page) % page_size == 0);
    static constinit table_source source = nullptr;
    source = spare;
    const auto zeroed = +[] {
        const u64 made = source();
        __builtin_memset(phys_to_virt(made), 0, page_size);
        return made;
    };
    const u64 start = layout::page_array + first_frame * sizeof(page);
    for (u64 at = start; at < start + count * sizeof(page); at += page_size) {
        u64* entry = entry_for(at, 0, zeroed);
        *entry = zeroed() | bits_of(kernel_mapping::data);
    }
}

result<u64> reserve_dynamic(usize size) {
    const u64 start = next_dynamic.fetch_add(align_up(size, page_size), std::memory_order_relaxed);
    if (start + size > layout::dynamic_end) {
        return err::nomem;
    }
    return start;
}

result<void> map_kernel_page(u64 address, u64 physical, kernel_mapping kind) {
    irq_guard guard(lock);
    u64* entry = entry_for(address, 0, table_from_allocator);
    if (entry == nullptr) {
        return err::nomem;
    }
    *entry = physical | bits_of(kind);
    return {};
}

namespace {

// Whole 2 MiB pages: what a bus's configuration space or a large BAR is made of.
result<void*> map_large_device(u64 physical, usize size) {
    const u64 area = align_up(TRY(reserve_dynamic(size + large_page_size)), large_page_size);
    irq_guard guard(lock);
    for (u64 at = 0; at < size; at += large_page_size) {
        u64* entry = entry_for(area + at, 1, table_from_allocator);
        if (entry == nullptr) {
            return err::nomem;
        }
        *entry = (physical + at) | bits_of(kernel_mapping::device) | pte::large;
    }
    return reinterpret_cast<void*>(area);
}

}  // namespace

result<void*> map_device(u64 physical, usize size) {
    if (size != 0 && is_aligned(physical | size, large_page_size)) {
        return map_large_device(physical, size);
    }
    const u64 offset = physical % page_size;
    const u64 area = TRY(reserve_dynamic(offset + size));
    for (u64 at = 0; at < offset + size; at += page_size) {
        TRY(map_kernel_page(area + at, physical - offset + at, kernel_mapping::device));
    }
    return reinterpret_cast<void*>(area + offset);
}

void flush_tlb_here(u64 start, u64 end) {
    if ((end - start) >> page_shift > single_flush_pages) {
        write_cr3(root_physical());
        return;
    }
    for (u64 at = align_down(start, page_size); at < end; at += page_size) {
        asm volatile("invlpg (%0)" : : "r"(at) : "memory");
    }
}

void answer_flush_request() {
    flush_tlb_here(request.start.load(std::memory_order_acquire),
                   request.end.load(std::memory_order_acquire));
    if (request.waiting.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        request.answered.wake();
    }
}

void catch_up_with_flushes() {
    std::atomic<bool>& missed = missed_flush[this_cpu()];
    if (missed.load(std::memory_order_seq_cst)) {
        missed.store(false, std::memory_order_relaxed);
        write_cr3(root_physical());
    }
}

namespace {

// Tells the other CPUs, the idle ones only if they must know at once. A CPU that is no longer idle when
// its flag is set sees the flag, because it clears `idling` first. Of one that is told, an older flag
// stays: it answers for this request only, not for those that it slept through.
void ask_others(u32 self, bool idle_too) {
    u64 asked = 0;
    u32 count = 0;
    for (u32 other = 0; other < cpu_count(); ++other) {
        if (other == self) {
            continue;
        }
        const bool missed_before = missed_flush[other].exchange(true, std::memory_order_seq_cst);
        if (idle_too || !cpu_block(other).queue.idling.load(std::memory_order_seq_cst)) {
            missed_flush[other].store(missed_before, std::memory_order_release);
            asked |= u64{1} << other;
            ++count;
        }
    }
    request.waiting.store(count, std::memory_order_release);
    for (; asked != 0; asked &= asked - 1) {
        send_to_cpu(static_cast<u32>(__builtin_ctzll(asked)), interrupt_vector::flush_tlb);
    }
}

}  // namespace

void flush_tlb(u64 start, u64 end, bool idle_too) {
    if (cpu_count() == 1) {
        flush_tlb_here(start, end);
        return;
    }
    lock_guard guard(request.one_at_a_time);
    request.start.store(start, std::memory_order_release);
    request.end.store(end, std::memory_order_release);
    // Kernel threads are not preempted, so this is one CPU until the end.
    ask_others(this_cpu(), idle_too || end > user_end);
    flush_tlb_here(start, end);
    const auto all_answered = [] { return request.waiting.load(std::memory_order_acquire) == 0; };
    for (u32 spins = 0; spins < spins_before_sleep && !all_answered(); ++spins) {
        cpu_relax();
    }
    static_cast<void>(wait_until(request.answered, all_answered, never, wait_mode::uninterruptible));
}

}  // namespace kiln
