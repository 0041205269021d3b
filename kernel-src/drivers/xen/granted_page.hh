// A page of ours that another domain may reach. Nothing else lies in it, so whatever that domain writes
// there, and whenever, is data that nobody trusts.
//
// A page that the other domain still has mapped when it is dropped is kept until that ends; dropping
// other pages looks after it.
// Context: threads, no spin locks.
#pragma once

#include <span>
#include <utility>

#include "core/page.hh"
#include "drivers/xen/grant_table.hh"

namespace kiln::xen {

class granted_page {
public:
    // Of zeros.
    static result<granted_page> make(grant_table& in, u16 domain, grant_access how);

    granted_page() = default;
    granted_page(granted_page&& other) noexcept
        : _table(other._table), _page(std::exchange(other._page, nullptr)),
          _reference(other._reference) {}
    granted_page& operator=(granted_page&& other) noexcept;
    ~granted_page() { drop(); }

    std::byte* data() const { return static_cast<std::byte*>(page_data(*_page)); }
    std::span<std::byte> bytes() const { return {data(), page_size}; }
    grant_reference reference() const { return _reference; }

private:
    granted_page(grant_table& in, page& frame, grant_reference reference)
        : _table(&in), _page(&frame), _reference(reference) {}
    void drop();

    grant_table* _table = nullptr;
    page* _page = nullptr;
    grant_reference _reference = 0;
};

// Adds `count` more pages.
result<void> add_granted_pages(vector<granted_page>& to, usize count, grant_table& in, u16 domain,
                               grant_access how);

// Pages that were dropped while another domain had them mapped, and still has.
usize pages_held_by_others();

}  // namespace kiln::xen
