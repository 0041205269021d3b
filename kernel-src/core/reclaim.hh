// Getting memory back when it runs out. mm/ and the page cache register what they can give.
#pragma once

#include "lib/list.hh"
#include "lib/types.hh"

namespace kiln {

// Something that can free pages on request. `shrink` returns how many it freed, and may sleep.
struct page_shrinker : noncopyable {
    constexpr explicit page_shrinker(u64 (*function)(u64 wanted)) : shrink(function) {}
    u64 (*shrink)(u64 wanted);
    list_node link;
};

void register_shrinker(page_shrinker& shrinker);

// Asks all shrinkers until `wanted` pages came back. False when nothing could be freed, or when the
// caller is itself reclaiming. Context: threads.
bool reclaim_pages(u64 wanted);

// The allocator calls this with what is free after an allocation; below the low watermark it wakes the
// thread that runs run_reclaim, which frees up to the high one. Context: any.
void note_free_pages(u64 free_pages, u64 total_pages);
// The body of the reclaim thread; never returns.
void run_reclaim(void*);

// A 64th of memory, in bounds; the thread works until twice as much is free.
inline u64 low_watermark(u64 total_pages) {
    const u64 share = total_pages / 64;
    return share < 128 ? 128 : (share > 4096 ? 4096 : share);
}

}  // namespace kiln
