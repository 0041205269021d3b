// Getting memory back when it runs out. mm/ and the page cache register what they can give.
#pragma once

#include "lib/list.hh"
#include "lib/types.hh"

namespace kiln {

// Something that can free pages on request. `shrink` returns how many it freed, and may sleep.
struct page_shrinker : noncopyable {
    explicit page_shrinker(u64 (*function)(u64 wanted)) : shrink(function) {}
    u64 (*shrink)(u64 wanted);
    list_node link;
};

void register_shrinker(page_shrinker& shrinker);

// Asks all shrinkers until `wanted` pages came back. False when nothing could be freed, or when the
// caller is itself reclaiming. Context: threads.
bool reclaim_pages(u64 wanted);

}  // namespace kiln
