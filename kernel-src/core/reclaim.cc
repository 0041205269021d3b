// Lock: `registry` is only held while a shrinker is picked. A thread that reclaims never reclaims
// again from within: one at a time, the others try their allocation anew when it is done.
#include "core/reclaim.hh"

#include "core/mutex.hh"
#include "core/park.hh"

namespace kiln {
namespace {

struct reclaim_state {
    mutex one_at_a_time;
    spinlock registry;
    list<page_shrinker, &page_shrinker::link> shrinkers;
    std::atomic<thread*> reclaimer{nullptr};
};

constinit reclaim_state state;

page_shrinker* next_shrinker(page_shrinker* last) {
    lock_guard guard(state.registry);
    return last == nullptr ? state.shrinkers.front() : state.shrinkers.next(*last);
}

u64 ask_all(u64 wanted) {
    u64 freed = 0;
    for (page_shrinker* asked = next_shrinker(nullptr); asked != nullptr && freed < wanted;
         asked = next_shrinker(asked)) {
        freed += asked->shrink(wanted - freed);
    }
    return freed;
}

}  // namespace

void register_shrinker(page_shrinker& shrinker) {
    lock_guard guard(state.registry);
    state.shrinkers.push_back(shrinker);
}

bool reclaim_pages(u64 wanted) {
    if (next_shrinker(nullptr) == nullptr || state.reclaimer.load() == &current_thread()) {
        return false;
    }
    lock_guard guard(state.one_at_a_time);
    state.reclaimer.store(&current_thread());
    const u64 freed = ask_all(wanted);
    state.reclaimer.store(nullptr);
    return freed != 0;
}

}  // namespace kiln
