#include "mm/page_cache.hh"

#include <algorithm>

#include "core/io_vector.hh"
#include "core/park.hh"
#include "lib/assert.hh"

namespace kiln {

// Consecutive new pages that are being read in. The filler holds a reference to each besides the
// cache's own.
struct page_cache::batch {
    u64 first = 0;  // of the read window, then of what was entered
    usize window = 0;
    usize count = 0;
    page* pages[max_read_ahead];

    std::span<page* const> span() const { return {pages, count}; }
};

// Pages that may be dropped, in the order of a clock: those used since the hand passed get another
// round. Lock order: a cache's _lock → this. The hand goes the other way round and only tries. It
// holds the lock for one batch at a time: readers of missing pages wait for it.
struct page_reclaim {
    spinlock lock;
    list<page, &page::link> pages;
    std::atomic<u64> count{0};

    void add(page& one) {
        lock_guard guard(lock);
        pages.push_back(one);
        count.fetch_add(1, std::memory_order_relaxed);
    }
    void remove(page& one) {
        lock_guard guard(lock);
        if (one.link.linked()) {
            list<page, &page::link>::remove(one);
            count.fetch_sub(1, std::memory_order_relaxed);
        }
    }
    usize run(usize wanted);
    // Looks at `looks` pages at the most and puts what it takes, `wanted` at the most, on `freed`.
    // Returns how many.
    usize run_batch(u64 looks, usize wanted, list<page, &page::link>& freed);
    // Takes the page out of its cache unless it is in use. `lock` is held, so the cache lives.
    static bool take(page& one);
};

namespace {

constinit page_reclaim reclaim;

}  // namespace

bool page_reclaim::take(page& one) {
    auto& cache = *static_cast<page_cache*>(one.owner);
    if (one.references.load(std::memory_order_acquire) != 1 || !cache._lock.try_lock()) {
        return false;
    }
    const bool unused = one.references.load(std::memory_order_acquire) == 1;
    if (unused) {
        static_cast<void>(cache._pages.remove(one.index));
        cache._count.fetch_sub(1, std::memory_order_relaxed);
        one.owner = nullptr;
    }
    cache._lock.unlock();
    return unused;
}

usize page_reclaim::run_batch(u64 looks, usize wanted, list<page, &page::link>& freed) {
    lock_guard guard(lock);
    usize taken = 0;
    for (; looks > 0 && taken < wanted; --looks) {
        page* const one = pages.pop_front();
        if (one == nullptr) {
            break;
        }
        if (one->has(page::referenced)) {
            one->clear(page::referenced);
            pages.push_back(*one);
        } else if (take(*one)) {
            freed.push_back(*one);
            count.fetch_sub(1, std::memory_order_relaxed);
            ++taken;
        } else {
            pages.push_back(*one);
        }
    }
    return taken;
}

usize page_reclaim::run(usize wanted) {
    constexpr u64 batch = 128;
    usize taken = 0;
    // Twice round: what was referenced may go the second time.
    for (u64 left = 2 * count.load(); left > 0 && taken < wanted;) {
        const u64 looks = std::min(left, batch);
        list<page, &page::link> freed;
        taken += run_batch(looks, wanted - taken, freed);
        left -= looks;
        while (page* const one = freed.pop_front()) {
            drop_page_reference(*one);
        }
        yield();
    }
    return taken;
}

page_cache::~page_cache() {
    drop_all();
}

page* page_cache::find_locked(u64 index) const {
    return static_cast<page*>(_pages.find(index));
}

page* page_cache::peek_page(u64 index) {
    lock_guard guard(_lock);
    page* const found = find_locked(index);
    if (found == nullptr || !found->has(page::up_to_date)) {
        return nullptr;
    }
    add_page_reference(*found);
    if (!found->has(page::referenced)) {
        found->set(page::referenced);
    }
    return found;
}

result<page*> page_cache::get_page(u64 index, bool for_write) {
    if (index >= (size() + page_size - 1) >> page_shift) {
        return err::range;
    }
    page* const found = TRY(obtain(index));
    if (for_write) {
        found->set(page::dirty);
    }
    return found;
}

result<page*> page_cache::obtain(u64 index) {
    while (true) {
        page* found = nullptr;
        {
            lock_guard guard(_lock);
            found = find_locked(index);
            if (found != nullptr) {
                add_page_reference(*found);
            }
        }
        if (found == nullptr) {
            found = TRY(read_missing(index));
        } else if (!found->has(page::up_to_date)) {
            found = wait_for(*found);
        } else if (!found->has(page::referenced)) {
            found->set(page::referenced);
        }
        if (found != nullptr) {
            return found;
        }
    }
}

page* page_cache::wait_for(page& found) {
    // `owner` is cleared when reading has failed or the page was dropped meanwhile.
    auto* volatile const& owner = found.owner;
    static_cast<void>(wait_until(
        _filled, [&] { return found.has(page::up_to_date) || owner != this; }, never,
        wait_mode::uninterruptible));
    if (found.has(page::up_to_date)) {
        return &found;
    }
    drop_page_reference(found);
    return nullptr;
}

usize page_cache::read_window(u64 index, u64& first) {
    first = index;
    return 1;
}

// Allocates pages for the part of the read window around `index` that is missing, or for `index`
// alone.
result<void> page_cache::choose(u64 index, batch& made, bool alone) {
    made.first = index;
    made.window = alone ? 1 : read_window(index, made.first);
    KILN_DEBUG_ASSERT(made.first / page_tree::ways ==
                      (made.first + made.window - 1) / page_tree::ways);
    u64 first = index;
    u64 end = index + 1;
    {
        lock_guard guard(_lock);
        while (first > made.first && find_locked(first - 1) == nullptr) {
            --first;
        }
        while (end < made.first + made.window && find_locked(end) == nullptr) {
            ++end;
        }
    }
    while (made.count < end - first) {
        result<page*> fresh = new_page();
        if (!fresh.ok()) {
            // With little memory, less is read ahead.
            return made.count != 0 ? result<void>() : fresh.error();
        }
        made.pages[made.count++] = fresh.value();
    }
    return {};
}

// Enters the pages at the places around `index` that are still empty: as many before it as the
// window and the number of pages allow, then those after it. None when another thread was faster.
usize page_cache::enter_locked(u64 index, batch& made, page_tree::spare_nodes& spares) {
    if (find_locked(index) != nullptr) {
        return 0;
    }
    u64 first = index;
    while (first > made.first && index - first + 1 < made.count &&
           find_locked(first - 1) == nullptr) {
        --first;
    }
    const u64 limit = std::min(made.first + made.window, first + made.count);
    made.first = first;
    usize entered = 0;
    for (u64 number = first; number < limit && find_locked(number) == nullptr; ++number) {
        page& fresh = *made.pages[entered++];
        fresh.owner = this;
        fresh.index = number;
        fresh.flags.store(0, std::memory_order_relaxed);
        add_page_reference(fresh);
        _pages.insert(number, &fresh, spares);
    }
    _count.fetch_add(entered, std::memory_order_relaxed);
    return entered;
}

void page_cache::give_back(batch& made, usize keep) {
    const usize unused = made.count - keep;
    while (made.count > keep) {
        drop_page_reference(*made.pages[--made.count]);
    }
    if (unused != 0) {
        pages_freed(unused);
    }
}

result<void> page_cache::enter(u64 index, batch& made) {
    page_tree::spare_nodes spares;
    usize entered = 0;
    for (bool done = false; !done;) {
        u32 missing = 0;
        {
            lock_guard guard(_lock);
            missing = _pages.nodes_missing(index);
            done = spares.count() >= missing;
            if (done) {
                entered = enter_locked(index, made, spares);
            }
        }
        if (!done) {
            result<void> outcome = spares.fill(missing);
            if (!outcome.ok()) {
                give_back(made, 0);
                return outcome;
            }
        }
    }
    give_back(made, entered);
    return {};
}

// The pages are good: everybody may have them.
void page_cache::publish(batch& made) {
    const bool may_go = reclaimable();
    {
        lock_guard guard(_lock);
        for (page* fresh : made.span()) {
            fresh->set(page::up_to_date);
            if (may_go && fresh->owner == this) {
                reclaim.add(*fresh);
            }
        }
    }
    _filled.wake_all();
}

// Reading failed: the pages leave the cache.
void page_cache::forget(batch& made) {
    usize removed = 0;
    {
        lock_guard guard(_lock);
        for (page* failed : made.span()) {
            if (failed->owner == this) {
                static_cast<void>(_pages.remove(failed->index));
                failed->owner = nullptr;
                drop_page_reference(*failed);
                ++removed;
            }
        }
        _count.fetch_sub(removed, std::memory_order_relaxed);
    }
    _filled.wake_all();
    pages_freed(removed);
    for (page* failed : made.span()) {
        drop_page_reference(*failed);
    }
}

// False when another thread reads it.
result<bool> page_cache::read_window_of(u64 index, batch& made, bool alone) {
    TRY(choose(index, made, alone));
    TRY(enter(index, made));
    if (made.count == 0) {
        return false;
    }
    const result<void> outcome = fill(made.first, made.span());
    if (!outcome.ok()) {
        forget(made);
        return outcome.error();
    }
    publish(made);
    return true;
}

// Reads `index` and what is missing around it. Null when another thread does it. What nobody has
// asked for may be damaged: then the page is read alone.
result<page*> page_cache::read_missing(u64 index) {
    batch made;
    result<bool> outcome = read_window_of(index, made, false);
    if (!outcome.ok() && outcome.error() == err::io && made.count > 1) {
        made = {};
        outcome = read_window_of(index, made, true);
    }
    if (!TRY(std::move(outcome))) {
        return static_cast<page*>(nullptr);
    }
    page* wanted = nullptr;
    for (page* fresh : made.span()) {
        if (fresh->index == index) {
            wanted = fresh;
        } else {
            drop_page_reference(*fresh);
        }
    }
    return wanted;
}

result<page*> page_cache::page_for_reading(u64 index) {
    if (holes_read_as_zeros()) {
        lock_guard guard(_lock);
        if (find_locked(index) == nullptr) {
            return static_cast<page*>(nullptr);
        }
    }
    return obtain(index);
}

result<usize> page_cache::read(io_vector& to, u64 offset) {
    const u64 end = size();
    usize done = 0;
    while (offset < end && to.remaining() != 0) {
        const usize in_page = offset % page_size;
        const usize piece = std::min({page_size - in_page, usize{end - offset}, to.remaining()});
        result<page*> source = page_for_reading(offset >> page_shift);
        if (!source.ok()) {
            return done != 0 ? result<usize>(done) : source.error();
        }
        page* const from = source.value();
        result<usize> moved =
            from == nullptr
                ? to.put_zeros(piece)
                : to.put(static_cast<const std::byte*>(page_data(*from)) + in_page, piece);
        if (from != nullptr) {
            drop_page_reference(*from);
        }
        if (!moved.ok()) {
            return done != 0 ? result<usize>(done) : moved.error();
        }
        done += moved.value();
        offset += moved.value();
        if (moved.value() < piece) {
            break;
        }
        if (done % (64 * page_size) == 0) {
            yield();
        }
    }
    return done;
}

result<void> page_cache::read_exactly(void* to, usize length, u64 offset) {
    if (offset > size() || length > size() - offset) {
        return err::io;
    }
    io_vector whole = io_vector::kernel(to, length);
    return TRY(read(whole, offset)) == length ? result<void>() : err::io;
}

result<usize> page_cache::write(io_vector& from, u64 offset) {
    usize done = 0;
    while (from.remaining() != 0) {
        const usize in_page = offset % page_size;
        const usize piece = std::min(page_size - in_page, from.remaining());
        result<page*> target = obtain(offset >> page_shift);
        if (!target.ok()) {
            return done != 0 ? result<usize>(done) : target.error();
        }
        page* const to = target.value();
        result<usize> moved = from.take(static_cast<std::byte*>(page_data(*to)) + in_page, piece);
        to->set(page::dirty);
        drop_page_reference(*to);
        if (!moved.ok()) {
            return done != 0 ? result<usize>(done) : moved.error();
        }
        done += moved.value();
        offset += moved.value();
        if (offset > size()) {
            set_size(offset);
        }
        if (moved.value() < piece) {
            break;
        }
    }
    return done;
}

// Only pages that are there need it.
result<void> page_cache::zero(u64 offset, u64 length) {
    while (length != 0) {
        const usize in_page = offset % page_size;
        const usize piece = std::min<u64>(page_size - in_page, length);
        page* const target = TRY(page_for_reading(offset >> page_shift));
        if (target != nullptr) {
            __builtin_memset(static_cast<std::byte*>(page_data(*target)) + in_page, 0, piece);
            drop_page_reference(*target);
        }
        offset += piece;
        length -= piece;
    }
    return {};
}

result<void> page_cache::make_page(u64 index) {
    drop_page_reference(*TRY(obtain(index)));
    return {};
}

u64 page_cache::drop_pages(u64 first, u64 end) {
    const u64 start = first;
    u64 dropped = 0;
    while (true) {
        page* gone = nullptr;
        {
            lock_guard guard(_lock);
            gone = static_cast<page*>(_pages.next(first));
            if (gone == nullptr || first >= end) {
                break;
            }
            static_cast<void>(_pages.remove(first));
            _count.fetch_sub(1, std::memory_order_relaxed);
            reclaim.remove(*gone);
            gone->owner = nullptr;
        }
        drop_page_reference(*gone);
        ++dropped;
    }
    _filled.wake_all();
    // After they are gone from the cache, or a fault could map one again; mappings hold references.
    if (unmap_object_pages != nullptr && mappings.load(std::memory_order_acquire) != 0) {
        unmap_object_pages(*this, start, end);
    }
    if (dropped != 0) {
        pages_freed(dropped);
    }
    return dropped;
}

u64 page_cache::find_page(u64 index, u64 limit, bool present) {
    lock_guard guard(_lock);
    u64 at = index;
    while (at < limit) {
        u64 next = at;
        const void* const found = _pages.next(next);
        if (present) {
            return found != nullptr && next < limit ? next : limit;
        }
        if (found == nullptr || next != at) {
            return at;
        }
        ++at;
    }
    return limit;
}

usize reclaim_page_cache(usize wanted) {
    return reclaim.run(wanted);
}

u64 page_cache_pages() {
    return reclaim.count.load(std::memory_order_relaxed);
}

}  // namespace kiln
