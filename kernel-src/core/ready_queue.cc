// See ready_queue.hh.
#include "core/ready_queue.hh"

#include <algorithm>

#include "core/clock.hh"

namespace kiln {
namespace {

constexpr u64 wake_granularity_ns = 500'000;
// One who slept long starts at most this much before the others.
constexpr u64 sleeper_bonus_ns = 1 * ns_per_ms;

}  // namespace

void ready_queue::insert(schedulable& ready) {
    _ready.insert(ready);
    _count.store(count() + 1, std::memory_order_relaxed);
}

void ready_queue::remove(schedulable& ready) {
    _ready.remove(ready);
    _count.store(count() - 1, std::memory_order_relaxed);
}

schedulable* ready_queue::take_first() {
    schedulable* first = _ready.first();
    if (first != nullptr) {
        remove(*first);
        _minimum = std::max(_minimum, first->virtual_time);
    }
    return first;
}

void ready_queue::advance(u64 running_virtual_time) {
    const schedulable* first = _ready.first();
    const u64 least =
        first == nullptr ? running_virtual_time : std::min(running_virtual_time, first->virtual_time);
    _minimum = std::max(_minimum, least);
}

void ready_queue::insert_woken(schedulable& woken) {
    const u64 earliest = _minimum - std::min(_minimum, sleeper_bonus_ns);
    woken.virtual_time = std::max(woken.virtual_time, earliest);
    insert(woken);
}

schedulable* ready_queue::last_allowed_on(u32 cpu) const {
    schedulable* last = _ready.last();
    while (last != nullptr && !last->allowed_on(cpu)) {
        last = _ready.prev(*last);
    }
    return last;
}

void ready_queue::move_behind_all(schedulable& running) const {
    if (const schedulable* last = _ready.last()) {
        running.virtual_time = std::max(running.virtual_time, last->virtual_time);
    }
}

bool takes_over(const schedulable& woken, const schedulable& running, u64 running_virtual_time) {
    if (woken.kind != running.kind && running.kind == sharing::idle) {
        return true;
    }
    return woken.kind == sharing::normal &&
           woken.virtual_time + wake_granularity_ns < running_virtual_time;
}

u32 choose_cpu(const schedulable& woken, u32 last, u32 cpus, bool (*is_idle)(u32 cpu)) {
    const bool last_fits = last < cpus && woken.allowed_on(last);
    if (last_fits && is_idle(last)) {
        return last;
    }
    u32 first_allowed = cpus;
    for (u32 candidate = 0; candidate < cpus; ++candidate) {
        if (!woken.allowed_on(candidate)) {
            continue;
        }
        if (is_idle(candidate)) {
            return candidate;
        }
        first_allowed = std::min(first_allowed, candidate);
    }
    return last_fits || first_allowed == cpus ? last : first_allowed;
}

}  // namespace kiln
