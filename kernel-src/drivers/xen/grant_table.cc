#include "drivers/xen/grant_table.hh"

#include <algorithm>

#include "core/spinlock.hh"

namespace kiln::xen {

void grant_table::init(frame_source source, void* of, u32 most_frames) {
    _source = source;
    _source_of = of;
    _most_frames = most_frames;
}

result<void> grant_table::grow() {
    const u32 index = static_cast<u32>(_frames.size());
    if (index >= _most_frames) {
        return err::nospc;
    }
    // So that end() never needs memory.
    TRY(_free.reserve((index + 1) * usize{entries_of_a_frame}));
    TRY(_frames.reserve(index + 1));
    grant_entry* made = TRY(_source(_source_of, index));
    TRY(_frames.push_back(made));
    const u32 first = index * entries_of_a_frame;
    // The lowest is given first.
    for (u32 i = first + entries_of_a_frame; i-- > std::max(first, reserved_entries);) {
        TRY(_free.push_back(i));
    }
    return {};
}

result<grant_reference> grant_table::permit(u16 domain, u64 frame, grant_access how) {
    if (frame > ~u32{0}) {
        return err::inval;
    }
    lock_guard guard(_lock);
    if (_free.empty()) {
        TRY(grow());
    }
    const grant_reference reference = _free.back();
    _free.pop_back();
    grant_entry& to = entry(reference);
    to.domain = domain;
    to.frame = static_cast<u32>(frame);
    const u16 access = how == grant_access::read_only ? grant_flag::read_only : 0;
    // The flags make the entry valid, after all the rest.
    __atomic_store_n(&to.flags, static_cast<u16>(grant_flag::permit_access | access),
                     __ATOMIC_RELEASE);
    ++_permitted;
    return reference;
}

result<void> grant_table::end(grant_reference reference) {
    lock_guard guard(_lock);
    u16& flags = entry(reference).flags;
    u16 seen = __atomic_load_n(&flags, __ATOMIC_RELAXED);
    do {
        if ((seen & (grant_flag::reading | grant_flag::writing)) != 0) {
            return err::busy;
        }
    } while (!__atomic_compare_exchange_n(&flags, &seen, u16{0}, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    --_permitted;
    return _free.push_back(reference);
}

}  // namespace kiln::xen
