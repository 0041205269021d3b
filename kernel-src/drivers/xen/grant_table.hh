// What other domains may reach of our memory: the grant table, version 1 (Xen public grant_table.h).
//
// An entry names a domain and a frame; its number, the reference, is what we tell the other side.
// The hypervisor sets bits in an entry while the frame is mapped, and until they are gone neither the
// entry nor the frame may be used for anything else.
//
// Lock: `_lock` (sleeping). Context: threads.
#pragma once

#include "core/mutex.hh"
#include "lib/result.hh"
#include "lib/types.hh"
#include "lib/vector.hh"

namespace kiln::xen {

using grant_reference = u32;

struct grant_entry {
    u16 flags;
    u16 domain;
    u32 frame;
};
static_assert(sizeof(grant_entry) == 8);

namespace grant_flag {
inline constexpr u16 permit_access = 1, read_only = 1u << 2;
inline constexpr u16 reading = 1u << 3, writing = 1u << 4;  // set by the hypervisor
}  // namespace grant_flag

enum class grant_access : u8 { read_write, read_only };

class grant_table : noncopyable {
public:
    static constexpr u32 entries_of_a_frame = page_size / sizeof(grant_entry);
    // Those of the console, of xenstore, and more that the tools may use.
    static constexpr u32 reserved_entries = 8;

    // Makes the table's frame `index` visible and returns where it is.
    using frame_source = result<grant_entry*> (*)(void* of, u32 index);
    // The table grows by one frame at a time, to `most_frames`.
    void init(frame_source source, void* of, u32 most_frames);

    // err::nospc when the table is full.
    result<grant_reference> permit(u16 domain, u64 frame, grant_access how);
    // err::busy while the other domain has the frame mapped: the entry stays as it is.
    result<void> end(grant_reference reference);

    u32 permitted() const { return _permitted; }

private:
    grant_entry& entry(grant_reference reference) {
        return _frames[reference / entries_of_a_frame][reference % entries_of_a_frame];
    }
    result<void> grow();

    mutex _lock;
    frame_source _source = nullptr;
    void* _source_of = nullptr;
    u32 _most_frames = 0;
    u32 _permitted = 0;
    vector<grant_entry*> _frames;
    vector<grant_reference> _free;
};

// The table of this machine. Usable after start_grant_table.
grant_table& grants();
result<void> start_grant_table();

}  // namespace kiln::xen
