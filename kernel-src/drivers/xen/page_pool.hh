// Pages that the backend of a disk may reach, and through which all data goes. They are granted once
// and used again and again, the one that was used last first, so that a backend that keeps them mapped
// ("persistent grants", Xen public io/blkif.h) has few to map.
//
// Lock: `_lock` (sleeping). Context: threads.
#pragma once

#include <span>

#include "core/mutex.hh"
#include "drivers/xen/granted_page.hh"
#include "lib/vector.hh"

namespace kiln::xen {

class page_pool : noncopyable {
public:
    // At least `fewest` pages are there from the start, and no more than `most` are ever made.
    result<void> open(grant_table& in, u16 domain, u32 fewest, u32 most);
    u32 made() const { return static_cast<u32>(_pages.size()); }

    // Fills the span; waits until there are as many, of which there may be `fewest` at most.
    void take(std::span<granted_page*> pages);
    void give_back(std::span<granted_page* const> pages);

private:
    bool try_take(std::span<granted_page*> pages);
    result<void> grow();

    mutex _lock;
    wait_queue _returned;
    grant_table* _table = nullptr;
    u16 _domain = 0;
    u32 _most = 0;
    vector<granted_page> _pages;  // never moved
    vector<granted_page*> _free;
};

}  // namespace kiln::xen
