// The program's memory seen through the direct map: for the loader, which fills areas before anything
// runs in them, for patching code, and for whoever looks on from outside.
#include "mm/address_space.hh"

namespace kiln {

namespace {

// The kernel's address of a byte that a leaf maps.
std::byte* bytes_of(const page_table::place& where, u64 entry, u64 address) {
    const u64 inside = address & (page_table::span_of(where.level) - 1);
    return static_cast<std::byte*>(phys_to_virt(entry_address(entry))) + inside;
}

bool usable(u64 entry, bool write, bool force) {
    if (force) {
        return entry != 0 && (!write || (entry & pte::private_page) != 0);
    }
    return entry_present(entry) && (!write || (entry & pte::writable) != 0);
}

}  // namespace

// One step of making the page at an address usable.
result<void> address_space::prepare_access(vma& area, u64 address, bool write, bool force) {
    if (!force) {
        return fault_in(area, address, write ? fault_access::write : fault_access::read);
    }
    const page_table::place where = _table.find(address);
    const u64 entry = where.slot == nullptr ? 0 : read_entry(where.slot);
    if (area.has(vma_flag::fixed_pages) || (write && area.is_shared())) {
        return err::fault;
    }
    if (entry == 0) {
        return area.object ? fault_object(area, address, write)
                           : fault_anonymous(area, address, write);
    }
    return write ? copy_on_write(area, address, where.slot, entry) : result<void>();
}

// Calls copy(kernel address, done, length) for each piece of the range, which lies in one page.
template <class Copy>
result<void> address_space::access_memory(u64 address, usize size, bool write, bool force, Copy copy) {
    if (address >= user_end || size > user_end - address) {
        return err::fault;
    }
    for (usize done = 0; done < size;) {
        const u64 at = address + done;
        const usize length = std::min(size - done, page_size - (at & (page_size - 1)));
        TRY(grow_stack(at));
        shared_guard guard(_lock);
        vma* area = area_at(at);
        if (area == nullptr) {
            return err::fault;
        }
        const page_table::place where = _table.find(at);
        const u64 entry = where.slot == nullptr ? 0 : read_entry(where.slot);
        if (!usable(entry, write, force)) {
            TRY(prepare_access(*area, at, write, force));
            continue;
        }
        copy(bytes_of(where, entry, at), done, length);
        done += length;
    }
    return {};
}

result<void> address_space::write_memory(u64 address, std::span<const std::byte> from, bool force) {
    return access_memory(address, from.size(), true, force,
                         [&](std::byte* to, usize done, usize length) {
                             __builtin_memcpy(to, from.data() + done, length);
                         });
}

result<void> address_space::read_memory(u64 address, std::span<std::byte> to, bool force) {
    return access_memory(address, to.size(), false, force,
                         [&](const std::byte* from, usize done, usize length) {
                             __builtin_memcpy(to.data() + done, from, length);
                         });
}

}  // namespace kiln
