#include "drivers/xen/granted_page.hh"

#include "core/log.hh"
#include "core/mutex.hh"
#include "lib/forever.hh"

namespace kiln::xen {
namespace {

struct held_page {
    grant_table* table;
    page* frame;
    grant_reference reference;
};

// What other domains have still mapped. The lock comes before the table's.
class held_pages {
public:
    constexpr held_pages() = default;

    void add(const held_page& more) {
        lock_guard guard(_lock);
        // Without memory for the list the page is lost, which is better than to use it.
        if (!_pages.push_back(more).ok()) {
            log_warning("xen: a page that another domain has mapped is lost");
        }
    }

    void release_those_given_back() {
        lock_guard guard(_lock);
        for (usize i = _pages.size(); i-- != 0;) {
            if (_pages[i].table->end(_pages[i].reference).ok()) {
                drop_page_reference(*_pages[i].frame);
                _pages.erase(i);
            }
        }
    }

    usize count() {
        lock_guard guard(_lock);
        return _pages.size();
    }

private:
    mutex _lock;
    vector<held_page> _pages;
};

constinit forever<held_pages> held;

}  // namespace

result<granted_page> granted_page::make(grant_table& in, u16 domain, grant_access how) {
    page* frame = TRY(alloc_zeroed_page());
    auto reference = in.permit(domain, page_to_phys(*frame) >> page_shift, how);
    if (!reference.ok()) {
        drop_page_reference(*frame);
        return reference.error();
    }
    return granted_page(in, *frame, reference.value());
}

granted_page& granted_page::operator=(granted_page&& other) noexcept {
    if (this != &other) {
        drop();
        _table = other._table;
        _page = std::exchange(other._page, nullptr);
        _reference = other._reference;
    }
    return *this;
}

void granted_page::drop() {
    page* const frame = std::exchange(_page, nullptr);
    if (frame == nullptr) {
        return;
    }
    held->release_those_given_back();
    if (_table->end(_reference).ok()) {
        drop_page_reference(*frame);
    } else {
        held->add({_table, frame, _reference});
    }
}

result<void> add_granted_pages(vector<granted_page>& to, usize count, grant_table& in, u16 domain,
                               grant_access how) {
    TRY(to.reserve(to.size() + count));
    for (; count != 0; --count) {
        granted_page made = TRY(granted_page::make(in, domain, how));
        TRY(to.push_back(std::move(made)));
    }
    return {};
}

usize pages_held_by_others() {
    held->release_those_given_back();
    return held->count();
}

}  // namespace kiln::xen
