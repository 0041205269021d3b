// Page faults: filling pages in on first use.
//
// Faults hold the address space's lock shared, so that several run at once; two on the same page race
// to install an entry by compare-and-exchange, and who loses lets its page go and reports success: the
// program runs into the other's entry, or faults again. Who puts a page in another's place hides the
// leaf meanwhile; the others wait.
#include "mm/fault.hh"

#include "core/reclaim.hh"
#include "core/wait_queue.hh"
#include "mm/reaper.hh"

namespace kiln {
namespace {

// Pages that one fault on a file maps when they are in the page cache anyway.
constexpr u64 around_size = 16 * page_size;

// Those who wait for a page that is being exchanged.
constinit wait_queue exchanged;

bool permits(u32 protection, fault_access access) {
    switch (access) {
        case fault_access::write:
            return (protection & prot::write) != 0;
        case fault_access::execute:
            return (protection & prot::exec) != 0;
        default:
            return protection != prot::none;  // x86 has no pages that can be written but not read
    }
}

bool entry_permits(u64 entry, fault_access access) {
    return entry_present(entry) &&
           (access != fault_access::write || (entry & pte::writable) != 0) &&
           (access != fault_access::execute || (entry & pte::no_execute) == 0);
}

void clear_large(page& head) {
    constexpr usize piece = 128 * KiB;  // others may run in between
    auto* bytes = static_cast<std::byte*>(page_data(head));
    for (usize done = 0; done < large_page_size; done += piece) {
        __builtin_memset(bytes + done, 0, piece);
        yield();
    }
}

// One page of zeros that every read of untouched memory sees. It lives as long as the kernel.
u64 zero_page_address() {
    static std::atomic<u64> made{0};
    u64 address = made.load(std::memory_order_acquire);
    if (address == 0) {
        auto fresh = alloc_zeroed_page();
        if (!fresh.ok()) {
            return 0;
        }
        const u64 candidate = page_to_phys(*fresh.value());
        if (made.compare_exchange_strong(address, candidate)) {
            return candidate;
        }
        drop_page_reference(*fresh.value());
    }
    return address;
}

}  // namespace

void address_space::count_resident(u64 entry, unsigned level, i64 sign) {
    if (entry == 0 || (entry & pte::unowned) != 0) {
        return;
    }
    const i64 pages = sign * static_cast<i64>(page_table::span_of(level) >> page_shift);
    auto& counter = (entry & pte::private_page) != 0 ? _resident_anonymous : _resident_file;
    counter.fetch_add(pages, std::memory_order_relaxed);
    if (sign > 0) {
        const i64 sum = _resident_anonymous.load(std::memory_order_relaxed) +
                        _resident_file.load(std::memory_order_relaxed);
        if (sum > _peak_resident.load(std::memory_order_relaxed)) {
            _peak_resident.store(sum, std::memory_order_relaxed);
        }
    }
}

// Memory is out only when nothing can be given back by a thread that does not hold the lock.
result<void> address_space::fault(u64 address, fault_access access) {
    constexpr u64 batch = 64;
    _minor_faults.fetch_add(1, std::memory_order_relaxed);
    for (;;) {
        result<void> outcome = fault_once(address, access);
        if (outcome.ok() || outcome.error() != err::nomem || !reclaim_pages(batch)) {
            return outcome;
        }
    }
}

result<void> address_space::fault_once(u64 address, fault_access access) {
    if (address >= user_end) {
        return err::fault;
    }
    {
        shared_guard guard(_lock);
        if (vma* area = area_at(address)) {
            return fault_in(*area, address, access);
        }
    }
    TRY(grow_stack(address));
    shared_guard guard(_lock);
    vma* area = area_at(address);
    return area == nullptr ? result<void>(err::fault) : fault_in(*area, address, access);
}

result<void> address_space::grow_stack(u64 address) {
    lock_guard guard(_lock);
    vma* area = first_ending_after(address);
    if (area == nullptr || area->start <= address) {
        return {};
    }
    const u64 start = align_down(address, page_size);
    const u64 growth = (area->start - start) >> page_shift;
    if (!area->has(vma_flag::grows_down) || start < min_address ||
        area->end - start > limits.stack.load() ||
        _mapped + growth > limits.address_space.load() >> page_shift) {
        return err::fault;
    }
    const vma* below = vma_tree::prev(*area);
    // An inaccessible area below is the program's own guard and may be close.
    if (below != nullptr && start - std::min(start, below->end) < stack_gap &&
        (below->end > start || below->protection != prot::none) &&
        !below->has(vma_flag::grows_down)) {
        return err::fault;
    }
    count(*area, -1);
    area->start = start;
    count(*area, 1);
    return {};
}

result<void> address_space::fault_in(vma& area, u64 address, fault_access access) {
    if (!permits(area.protection, access)) {
        return err::acces;
    }
    const bool write = access == fault_access::write;
    const page_table::place where = _table.find(address);
    const u64 entry = where.slot == nullptr ? 0 : read_entry(where.slot);
    if (entry_permits(entry, access) && (where.level == 0 || (entry & pte::large) != 0)) {
        return {};  // another thread was here, or the TLB had an older entry
    }
    if (entry == 0) {
        if (area.has(vma_flag::fixed_pages)) {
            return err::range;
        }
        return area.object ? fault_object(area, address, write)
                           : fault_anonymous(area, address, write);
    }
    if (write && entry_present(entry)) {
        return make_writable(area, address, where.slot, entry);
    }
    // Hidden though it may be used: its page is being exchanged. Else it changed under us. In both cases
    // the program tries again.
    static_cast<void>(wait_until(
        exchanged, [&] { return entry_present(entry) || read_entry(where.slot) != entry; }, never,
        wait_mode::uninterruptible));
    return {};
}

// Puts a page, whose reference it takes over, where nothing is yet.
result<void> address_space::install(u64 address, page& fresh, u64 bits) {
    const u64 entry = page_to_phys(fresh) | bits;
    auto slot = _table.make_slot(align_down(address, page_size), 0);
    if (slot.ok() && replace_entry(slot.value(), 0, entry)) {
        count_resident(entry, 0, 1);
        return {};
    }
    if ((bits & pte::unowned) == 0) {
        drop_page_reference(fresh);
    }
    return slot.ok() || slot.error() == err::exist ? result<void>() : slot.error();
}

result<void> address_space::fault_anonymous(vma& area, u64 address, bool write) {
    if (write && wants_large(area, address) && fault_large(area, address)) {
        return {};
    }
    if (!write) {
        const u64 zeros = zero_page_address();
        if (zeros == 0) {
            return err::nomem;
        }
        return install(address, phys_to_page(zeros),
                       pte::unowned | leaf_bits(area.protection, false));
    }
    page* fresh = TRY(alloc_zeroed_page());
    return install(address, *fresh, pte::private_page | pte::dirty | leaf_bits(area.protection, true));
}

// Large pages only where memory is plentiful: they are filled whole.
bool address_space::wants_large(const vma& area, u64 address) const {
    const u64 base = align_down(address, large_page_size);
    if (base < area.start || base + large_page_size > area.end || area.has(vma_flag::no_huge) ||
        area.has(vma_flag::grows_down)) {
        return false;
    }
    const page_table::place where = _table.find(base);
    if (where.slot != nullptr && (where.level != 1 || read_entry(where.slot) != 0)) {
        return false;  // there are small pages already
    }
    const memory_figures memory = memory_now();
    const u64 spare = area.has(vma_flag::huge) ? memory.total_pages / 8 : memory.total_pages / 2;
    return memory.free_pages > spare && memory.free_pages > (64 * MiB >> page_shift);
}

bool address_space::fault_large(vma& area, u64 address) {
    const u64 base = align_down(address, large_page_size);
    auto slot = _table.make_slot(base, 1);
    auto block = slot.ok() ? alloc_pages(9, alloc_mode::nowait) : result<page*>(err::nomem);
    if (!block.ok()) {
        return false;
    }
    page& head = *block.value();
    auto spare = alloc_zeroed_page();
    if (!spare.ok()) {
        drop_page_reference(head);
        return false;
    }
    clear_large(head);
    head.owner = spare.value();
    const u64 entry = page_to_phys(head) | pte::private_page | pte::large | pte::dirty |
                      leaf_bits(area.protection, true);
    if (!replace_entry(slot.value(), 0, entry)) {
        release_leaf(entry);
    } else {
        count_resident(entry, 1, 1);
    }
    return true;
}

result<void> address_space::fault_object(vma& area, u64 address, bool write) {
    const bool shared = area.is_shared();
    page* found = TRY(area.object->get_page(area.page_index(address), write && shared));
    if (write && !shared) {
        auto copy = alloc_page();
        if (copy.ok()) {
            __builtin_memcpy(page_data(*copy.value()), page_data(*found), page_size);
        }
        drop_page_reference(*found);
        page* own = TRY(std::move(copy));
        return install(address, *own,
                       pte::private_page | pte::dirty | leaf_bits(area.protection, true));
    }
    TRY(install(address, *found, leaf_bits(area.protection, write)));
    if (!write && !area.has(vma_flag::random)) {
        fault_around(area, address);
    }
    return {};
}

void address_space::fault_around(vma& area, u64 address) {
    const u64 window = align_down(address, around_size);
    const u64 end = std::min(area.end, window + around_size);
    for (u64 at = std::max(area.start, window); at < end; at += page_size) {
        const page_table::place where = _table.find(at);
        if (where.slot == nullptr || where.level != 0 || read_entry(where.slot) != 0) {
            continue;
        }
        page* cached = area.object->peek_page(area.page_index(at));
        if (cached != nullptr) {
            static_cast<void>(install(at, *cached, leaf_bits(area.protection, false)));
        }
    }
}

result<void> address_space::make_writable(vma& area, u64 address, u64* slot, u64 entry) {
    if ((entry & pte::private_page) != 0) {
        replace_entry(slot, entry, entry | pte::writable | pte::dirty);
        return {};
    }
    if (!area.is_shared()) {
        return copy_on_write(area, address, slot, entry);
    }
    // Tells the object that the page is being dirtied; the reference is not needed, the entry has one.
    page* current = TRY(area.object->get_page(area.page_index(address), true));
    if (current == &entry_page(entry)) {
        replace_entry(slot, entry, entry | pte::writable | pte::dirty);
        drop_page_reference(*current);
        return {};
    }
    return exchange(address, slot, entry, *current, leaf_bits(area.protection, true));
}

result<void> address_space::copy_on_write(vma& area, u64 address, u64* slot, u64 entry) {
    const bool writable = (area.protection & prot::write) != 0;
    page* copy = TRY(alloc_page());
    __builtin_memcpy(page_data(*copy), phys_to_virt(entry_address(entry)), page_size);
    return exchange(address, slot, entry, *copy,
                    pte::private_page | pte::dirty | leaf_bits(area.protection, writable));
}

// Puts a page, whose reference it takes over, in the place of another with the same content. Until no
// CPU can read the old one any more its leaf is hidden, so that nobody writes to the new one: who is told
// of that, by a thread on another CPU, would look for it in the old one.
result<void> address_space::exchange(u64 address, u64* slot, u64 entry, page& fresh, u64 bits) {
    const u64 hidden = entry & ~pte::present;
    const u64 start = align_down(address, page_size);
    const u64 made = page_to_phys(fresh) | bits;
    const bool hid = replace_entry(slot, entry, hidden);
    if (hid) {
        flush_tlb(start, start + page_size);
    }
    // Of two that write by force where the program may do nothing, and all is hidden, one is later.
    if (!hid || !replace_entry(slot, hidden, made)) {
        drop_page_reference(fresh);
        return {};
    }
    exchanged.wake_all();
    count_resident(made, 0, 1);
    count_resident(entry, 0, -1);
    release_leaf(entry);
    return {};
}

result<void> address_space::populate(u64 start, u64 length, bool write, bool strict) {
    const u64 end = align_up(start + length, page_size);
    for (u64 at = align_down(start, page_size); at < end;) {
        shared_guard guard(_lock);
        vma* area = area_at(at);
        if (area == nullptr) {
            return err::nomem;
        }
        const bool writing = write || (!strict && area->is_private_writable());
        const auto access = writing ? fault_access::write : fault_access::read;
        const page_table::place where = _table.find(at);
        const u64 entry = where.slot == nullptr ? 0 : read_entry(where.slot);
        if (entry != 0 && where.level == 1 && entry_permits(entry, access)) {
            at = align_down(at, large_page_size) + large_page_size;
            continue;
        }
        TRY(fault_in(*area, at, access));
        at += page_size;
    }
    return {};
}

}  // namespace kiln
