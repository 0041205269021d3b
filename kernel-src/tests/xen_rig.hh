// The other side of Xen's split devices, for tests: a grant table whose frames the test sees, what a
// domain can reach through it, and the backend's end of a ring.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <vector>

#include "core/page.hh"
#include "drivers/xen/grant_table.hh"

namespace kiln::xen {

inline constexpr u16 backend_domain = 3;

class grant_rig {
public:
    explicit grant_rig(u32 most_frames = 8) { table.init(&frame, this, most_frames); }
    ~grant_rig() {
        for (page* each : _pages) {
            drop_page_reference(*each);
        }
    }

    grant_entry& entry(grant_reference reference) {
        auto* entries = static_cast<grant_entry*>(
            page_data(*_pages.at(reference / grant_table::entries_of_a_frame)));
        return entries[reference % grant_table::entries_of_a_frame];
    }
    // As the hypervisor answers the backend: the page, or null.
    std::byte* reach(grant_reference reference, bool to_write) {
        if (reference / grant_table::entries_of_a_frame >= _pages.size()) {
            return nullptr;
        }
        const grant_entry& found = entry(reference);
        const bool writable = (found.flags & grant_flag::read_only) == 0;
        const bool permitted = (found.flags & grant_flag::permit_access) != 0;
        return permitted && found.domain == backend_domain && (writable || !to_write)
                   ? static_cast<std::byte*>(phys_to_virt(u64{found.frame} << page_shift))
                   : nullptr;
    }
    // Once more for every reach, as if the backend kept the page mapped.
    void map(grant_reference reference) { entry(reference).flags |= grant_flag::writing; }
    void unmap(grant_reference reference) {
        entry(reference).flags &= static_cast<u16>(~grant_flag::writing);
    }
    usize frames() const { return _pages.size(); }

    grant_table table;
    bool refuses = false;

private:
    static result<grant_entry*> frame(void* of, u32 index) {
        auto& self = *static_cast<grant_rig*>(of);
        EXPECT_EQ(index, self._pages.size());
        if (self.refuses) {
            return err::nomem;
        }
        page* made = alloc_zeroed_page().take();
        self._pages.push_back(made);
        return static_cast<grant_entry*>(page_data(*made));
    }

    std::vector<page*> _pages;
};

// The responding end.
template <class Request, class Response>
class back_ring {
public:
    static constexpr usize slot = sizeof(Request) > sizeof(Response) ? sizeof(Request)
                                                                      : sizeof(Response);

    back_ring(std::byte* page, u32 size) : _page(page), _size(size) {}

    bool has_request() { return word(0) != _consumed; }
    // A request, or what lies in the place of one.
    template <class Entry = Request>
    Entry take() {
        EXPECT_TRUE(has_request());
        Entry found;
        std::memcpy(&found, at(_consumed++), sizeof(found));
        return found;
    }
    template <class Entry>
    void put(const Entry& made) {
        std::memcpy(at(_produced++), &made, sizeof(made));
    }
    // True when the front end asked for an event.
    bool publish() {
        const u32 before = word(2);
        word(2) = _produced;
        return _produced - word(3) < _produced - before;
    }
    void ask_for_event() { word(1) = _consumed + 1; }
    u32 consumed() const { return _consumed; }
    u32 produced() const { return _produced; }
    // 0: request producer, 1: request event, 2: response producer, 3: response event.
    u32& word(usize index) { return reinterpret_cast<u32*>(_page)[index]; }

private:
    std::byte* at(u32 index) { return _page + 64 + index % _size * slot; }

    std::byte* _page;
    u32 _size;
    u32 _consumed = 0, _produced = 0;
};

}  // namespace kiln::xen
