#include "drivers/xen/page_pool.hh"

#include "lib/assert.hh"

namespace kiln::xen {

result<void> page_pool::open(grant_table& in, u16 domain, u32 fewest, u32 most) {
    _table = &in;
    _domain = domain;
    _most = most;
    TRY(_pages.reserve(most));
    TRY(_free.reserve(most));
    while (_pages.size() < fewest) {
        TRY(grow());
    }
    return {};
}

result<void> page_pool::grow() {
    if (_pages.size() >= _most) {
        return err::nospc;
    }
    TRY(add_granted_pages(_pages, 1, *_table, _domain, grant_access::read_write));
    return _free.push_back(&_pages.back());
}

bool page_pool::try_take(std::span<granted_page*> pages) {
    lock_guard guard(_lock);
    while (_free.size() < pages.size() && grow().ok()) {
    }
    if (_free.size() < pages.size()) {
        return false;
    }
    for (granted_page*& each : pages) {
        each = _free.back();
        _free.pop_back();
    }
    return true;
}

void page_pool::take(std::span<granted_page*> pages) {
    KILN_DEBUG_ASSERT(pages.size() <= _pages.size());
    // Not interruptible and without a deadline, so it only ends with the pages.
    (void)wait_until(
        _returned, [&] { return try_take(pages); }, never, wait_mode::uninterruptible);
}

void page_pool::give_back(std::span<granted_page* const> pages) {
    {
        lock_guard guard(_lock);
        for (granted_page* each : pages) {
            (void)_free.push_back(each);  // there is room for all
        }
    }
    if (!pages.empty()) {
        _returned.wake_all();
    }
}

}  // namespace kiln::xen
