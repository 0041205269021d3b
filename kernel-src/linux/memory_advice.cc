// System calls that advise on, keep, write back or look at pages: madvise, msync, mincore, mlock.
#include "fs/file.hh"
#include "linux/descriptors.hh"
#include "linux/syscall.hh"
#include "linux/vector_arguments.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

// MADV_* (include/uapi/asm-generic/mman-common.h).
namespace advice {
constexpr int normal = 0, random = 1, sequential = 2, willneed = 3, dontneed = 4, free = 8,
              remove = 9, dontfork = 10, dofork = 11, hugepage = 14,
              nohugepage = 15, dontdump = 16, dodump = 17, wipeonfork = 18, keeponfork = 19, cold = 20,
              pageout = 21, populate_read = 22, populate_write = 23, dontneed_locked = 24, collapse = 25;
}

struct flag_change {
    u32 set;
    u32 clear;
};

// Advice that is only remembered.
bool flags_of(int which, flag_change& change) {
    switch (which) {
        case advice::normal:
            change = {0, vma_flag::random | vma_flag::sequential};
            return true;
        case advice::random:
            change = {vma_flag::random, vma_flag::sequential};
            return true;
        case advice::sequential:
            change = {vma_flag::sequential, vma_flag::random};
            return true;
        case advice::dontfork:
            change = {vma_flag::dont_fork, 0};
            return true;
        case advice::dofork:
            change = {0, vma_flag::dont_fork};
            return true;
        case advice::hugepage:
            change = {vma_flag::huge, vma_flag::no_huge};
            return true;
        case advice::nohugepage:
            change = {vma_flag::no_huge, vma_flag::huge};
            return true;
        case advice::dontdump:
            change = {vma_flag::dont_dump, 0};
            return true;
        case advice::dodump:
            change = {0, vma_flag::dont_dump};
            return true;
        case advice::wipeonfork:
            change = {vma_flag::wipe_on_fork, 0};
            return true;
        case advice::keeponfork:
            change = {0, vma_flag::wipe_on_fork};
            return true;
        default:
            return false;
    }
}

bool is_private_anonymous(const vma& area) {
    return !area.object && !area.is_shared() && !area.has(vma_flag::fixed_pages);
}
bool is_ordinary(const vma& area) {
    return !area.has(vma_flag::fixed_pages);
}
bool can_be_freed(const vma& area) {
    return is_private_anonymous(area) && !area.has(vma_flag::locked);
}
bool can_be_aged(const vma& area) {
    return is_ordinary(area) && !area.has(vma_flag::locked);
}

result<void> apply_flags(u64 start, u64 length, int which, flag_change change) {
    auto* allowed = which == advice::wipeonfork ? is_private_anonymous
                    : which == advice::dofork || which == advice::dodump ? is_ordinary
                                                                         : nullptr;
    return the_address_space().change_flags(start, length, change.set, change.clear, allowed);
}

// Punches a hole into the file behind a shared writable mapping.
result<void> remove_pages(u64 start, u64 length) {
    auto& space = the_address_space();
    const u64 end = start + length;
    for (u64 at = start; at < end;) {
        const auto found = TRY(space.backing_at(at));
        if (!found.open || !found.shared_writable || found.locked) {
            return err::inval;
        }
        const u64 here = std::min(end, found.end) - at;
        constexpr int keep_size_and_punch = 3;
        TRY(found.open->allocate(keep_size_and_punch, found.offset, here));
        at += here;
    }
    return {};
}

// Populating says EFAULT where an access would raise a signal, ENOMEM where nothing is mapped.
result<void> populate(u64 start, u64 length, bool write) {
    auto outcome = the_address_space().populate(start, length, write, true);
    if (outcome.ok() || outcome.error() == err::nomem) {
        return outcome;
    }
    return outcome.error() == err::acces ? err::inval : err::fault;
}

result<void> advise(u64 start, u64 length, int which) {
    auto& space = the_address_space();
    flag_change change{};
    if (flags_of(which, change)) {
        return apply_flags(start, length, which, change);
    }
    switch (which) {
        case advice::dontneed:
            return space.discard(start, length);
        case advice::dontneed_locked:
            return space.discard(start, length, true);
        case advice::free:
            // The pages go at once, which the advice allows.
            TRY(space.change_flags(start, length, 0, 0, can_be_freed));
            return space.discard(start, length);
        case advice::cold:
        case advice::pageout:
            return space.change_flags(start, length, 0, 0, can_be_aged);
        case advice::willneed:
        case advice::collapse:
            return space.change_flags(start, length, 0, 0);
        case advice::remove:
            return remove_pages(start, length);
        case advice::populate_read:
            return populate(start, length, false);
        case advice::populate_write:
            return populate(start, length, true);
        default:
            return err::inval;  // merging of equal pages is not built in
    }
}

// What madvise and process_madvise do with one range.
result<void> check_and_advise(u64 start, u64 length, int which) {
    if (!is_aligned(start, page_size)) {
        return err::inval;
    }
    const u64 rounded = align_up(length, page_size);
    if ((length != 0 && rounded == 0) || start + rounded < start) {
        return err::inval;
    }
    flag_change unused{};
    const bool known = flags_of(which, unused) || which == advice::willneed ||
                       which == advice::dontneed || which == advice::free || which == advice::remove ||
                       (which >= advice::cold && which <= advice::collapse);
    if (!known) {
        return err::inval;
    }
    return rounded == 0 ? result<void>() : advise(start, rounded, which);
}

constexpr u32 sync_async = 1, sync_invalidate = 2, sync_wait = 4;

}  // namespace

SYSCALL(madvise, u64 start, u64 length, int which) {
    TRY(check_and_advise(start, length, which));
    return 0;
}

// Returns how many bytes were advised on before a range that failed; its error when it is the first.
// Any advice may be given, as Linux allows it a process about itself.
SYSCALL(process_madvise, int process, u64 ranges, u64 count, int which, u32 flags) {
    if (flags != 0) {
        return err::inval;
    }
    range_array array;
    TRY(array.fetch(ranges, count));
    if (!TRY(get_file(process))->is_pidfd()) {
        return err::badf;
    }
    i64 done = 0;
    for (const user_iovec& each : array.ranges()) {
        const result<void> outcome = check_and_advise(each.base, each.length, which);
        if (!outcome.ok()) {
            return done != 0 ? result<i64>(done) : outcome.error();
        }
        done += static_cast<i64>(each.length);
    }
    return done;
}

SYSCALL(msync, u64 start, u64 length, u32 flags) {
    if ((flags & ~(sync_async | sync_invalidate | sync_wait)) != 0 || !is_aligned(start, page_size) ||
        (flags & (sync_async | sync_wait)) == (sync_async | sync_wait)) {
        return err::inval;
    }
    const u64 rounded = align_up(length, page_size);
    if ((length != 0 && rounded == 0) || start + rounded < start) {
        return err::nomem;
    }
    auto& space = the_address_space();
    bool holes = false;
    for (u64 at = start; at < start + rounded;) {
        const auto found = space.backing_at(at);
        if (!found.ok()) {
            holes = true;
            const u64 next = space.next_mapped(at);
            if (next == 0) {
                break;
            }
            at = next;
            continue;
        }
        if ((flags & sync_invalidate) != 0 && found.value().locked) {
            return err::busy;
        }
        if ((flags & sync_wait) != 0 && found.value().open && found.value().shared_writable) {
            TRY(found.value().open->sync(false));
        }
        at = found.value().end;
    }
    return holes ? result<i64>(err::nomem) : result<i64>(0);
}

SYSCALL(mincore, u64 start, u64 length, u64 to) {
    if (!is_aligned(start, page_size)) {
        return err::inval;
    }
    if (start > user_end || length > user_end - start) {
        return err::nomem;
    }
    u8 chunk[256];
    const u64 pages = align_up(length, page_size) >> page_shift;
    for (u64 done = 0; done < pages;) {
        const usize count = std::min<u64>(sizeof chunk, pages - done);
        TRY(the_address_space().residency(start + (done << page_shift), {chunk, count}));
        TRY(copy_to_user(to + done, chunk, count));
        done += count;
    }
    return 0;
}

SYSCALL(mlock, u64 start, u64 length) {
    TRY(the_address_space().lock_range(start, length, false));
    return 0;
}

SYSCALL(mlock2, u64 start, u64 length, u32 flags) {
    constexpr u32 on_fault = 1;
    if ((flags & ~on_fault) != 0) {
        return err::inval;
    }
    TRY(the_address_space().lock_range(start, length, (flags & on_fault) != 0));
    return 0;
}

SYSCALL(munlock, u64 start, u64 length) {
    TRY(the_address_space().unlock_range(start, length));
    return 0;
}

SYSCALL(mlockall, u32 flags) {
    constexpr u32 current = 1, future = 2, on_fault = 4;
    if (flags == 0 || (flags & ~(current | future | on_fault)) != 0 || flags == on_fault) {
        return err::inval;
    }
    TRY(the_address_space().lock_all((flags & current) != 0, (flags & future) != 0,
                                     (flags & on_fault) != 0));
    return 0;
}

SYSCALL(munlockall) {
    the_address_space().unlock_all();
    return 0;
}

}  // namespace kiln
