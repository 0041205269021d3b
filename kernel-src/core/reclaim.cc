// Lock: `registry` is only held while a shrinker is picked. A thread that reclaims never reclaims
// again from within: one at a time, the others try their allocation anew when it is done.
#include "core/reclaim.hh"

#include "core/mutex.hh"
#include "core/page.hh"
#include "core/park.hh"

namespace kiln {
namespace {

struct reclaim_state {
    mutex one_at_a_time;
    spinlock registry;
    list<page_shrinker, &page_shrinker::link> shrinkers;
    std::atomic<thread*> reclaimer{nullptr};
    wait_queue wake_up;
    std::atomic<bool> wanted{false};
};

constinit reclaim_state state;

// After a round that freed nothing: what is in use will hardly be given back sooner.
constexpr u64 pause_after_failure = 50 * ns_per_ms;

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

void note_free_pages(u64 free_pages, u64 total_pages) {
    if (free_pages < low_watermark(total_pages) &&
        !state.wanted.exchange(true, std::memory_order_acq_rel)) {
        state.wake_up.wake();
    }
}

void run_reclaim(void*) {
    for (;;) {
        static_cast<void>(wait_until(
            state.wake_up, [] { return state.wanted.load(std::memory_order_acquire); }, never,
            wait_mode::uninterruptible));
        const memory_figures memory = memory_now();
        const u64 goal = 2 * low_watermark(memory.total_pages);
        if (memory.free_pages < goal && !reclaim_pages(goal - memory.free_pages)) {
            const u64 until = deadline_after(pause_after_failure);
            while (now() < until) {
                park(until);
            }
        }
        state.wanted.store(false, std::memory_order_release);
    }
}

}  // namespace kiln
