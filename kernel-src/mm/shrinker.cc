// kernel only: registers what mm/ can free, and keeps some memory free ahead of need.
#include "mm/shrinker.hh"

#include "core/reclaim.hh"
#include "core/thread.hh"
#include "mm/address_space.hh"
#include "mm/page_cache.hh"

namespace kiln {
namespace {

// Unmapping alone frees nothing: the page cache still holds the pages.
u64 shrink_mappings(u64 wanted) {
    constexpr u64 batch = 256;
    u64 freed = reclaim_page_cache(wanted);
    while (freed < wanted) {
        if (the_address_space().unmap_clean_pages(std::max(batch, wanted - freed)) == 0) {
            break;
        }
        const u64 more = reclaim_page_cache(wanted - freed);
        freed += more;
        if (more == 0) {
            break;
        }
    }
    return freed;
}

constinit page_shrinker mappings{shrink_mappings};

}  // namespace

result<void> start_memory_reclaim() {
    register_shrinker(mappings);
    TRY(start_kernel_thread("reclaim", run_reclaim, nullptr));
    return {};
}

}  // namespace kiln
