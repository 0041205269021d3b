// See ready_queue.hh.
#include "core/ready_queue.hh"

#include <algorithm>

#include "core/clock.hh"

namespace kiln {
namespace {

constexpr u64 wake_granularity_ns = 500'000;
// One who slept long starts at most this much before the others.
constexpr u64 sleeper_bonus_ns = 1 * ns_per_ms;

void change(std::atomic<u32>& count, i32 by) {
    count.store(count.load(std::memory_order_relaxed) + static_cast<u32>(by),
                std::memory_order_relaxed);
}

}  // namespace

void schedulable::obey(const cpu_claim& claim) {
    if (is_realtime() != (claim.priority != 0)) {
        virtual_time = 0;
        turn_used = 0;
    }
    priority = claim.priority;
    takes_turns = claim.takes_turns;
    kind = claim.kind;
    pace = pace_of(claim);
}

void ready_queue::charge_realtime(schedulable& ran, u64 since, u64 time) {
    _share.charge(since, time);
    ran.turn_used += time - since;
    if (ran.turn_used >= turn && !has_equal_of(ran)) {
        ran.turn_used %= turn;
    }
}

void ready_queue::count_special(const schedulable& which, i32 by) {
    if (which.is_realtime()) {
        change(_count_realtime, by);
    }
    _hurrying += which.hurries ? static_cast<u32>(by) : 0;
}

void ready_queue::add(schedulable& ready) {
    _ready.insert(ready);
    change(_count, 1);
    if (ready.is_special()) [[unlikely]] {
        count_special(ready, 1);
    }
}

void ready_queue::remove(schedulable& ready) {
    _ready.remove(ready);
    change(_count, -1);
    if (ready.is_special()) [[unlikely]] {
        count_special(ready, -1);
    }
}

void ready_queue::insert(schedulable& ready) {
    ready.hurries = false;
    if (ready.is_realtime()) [[unlikely]] {
        const bool turn_over = ready.takes_turns && ready.turn_used >= turn;
        ready.turn_used = turn_over ? 0 : ready.turn_used;
        ready.virtual_time = turn_over || ready.gives_way ? ++_last_place : --_first_place;
        ready.gives_way = false;
    }
    add(ready);
}

void ready_queue::insert_woken(schedulable& woken, const occupant* running) {
    if (woken.is_realtime()) [[unlikely]] {
        woken.virtual_time = ++_last_place;
    } else {
        if (running != nullptr) {
            advance(*running);
        }
        woken.virtual_time = std::max(woken.virtual_time, earliest_time());
        woken.hurries = woken.of_kernel;
    }
    add(woken);
}

// The minimum follows who runs while none who waits is behind.
void ready_queue::advance(const occupant& running) {
    u64 least = running.who.is_realtime() ? ~u64{0} : running.virtual_time();
    if (count() != 0) {
        const schedulable* first = first_ordinary();
        least = first == nullptr ? least : std::min(least, first->virtual_time);
    }
    _minimum = least == ~u64{0} ? _minimum : std::max(_minimum, least);
}

u64 ready_queue::earliest_time() const {
    return _minimum - std::min(_minimum, sleeper_bonus_ns);
}

void ready_queue::settle(schedulable& running) const {
    running.virtual_time = std::max(running.virtual_time, _minimum);
}

schedulable* ready_queue::first_ordinary() const {
    if (count_realtime() == 0) {
        return _ready.first();
    }
    return _ready.lower_bound([](const schedulable& each) { return !each.is_realtime(); });
}

schedulable& ready_queue::choose_beside(schedulable& realtime, u64 time) const {
    schedulable* ordinary = first_ordinary();
    if (ordinary == nullptr || _share.used_up(time)) {
        return ordinary == nullptr ? realtime : *ordinary;
    }
    if (_hurrying != 0) {
        while (!ordinary->hurries) {
            ordinary = _ready.next(*ordinary);
        }
        return *ordinary;
    }
    return realtime;
}

schedulable* ready_queue::take_first(u64 time) {
    schedulable* first = _ready.first();
    if (first == nullptr) {
        return nullptr;
    }
    if (first->is_realtime()) {
        first = &choose_beside(*first, time);
    }
    remove(*first);
    if (!first->is_realtime()) {
        _minimum = std::max(_minimum, first->virtual_time);
    }
    return first;
}

schedulable* ready_queue::first_realtime_for(u32 cpu) const {
    schedulable* each = _ready.first();
    while (each != nullptr && each->is_realtime() && !each->allowed_on(cpu)) {
        each = _ready.next(*each);
    }
    return each != nullptr && each->is_realtime() ? each : nullptr;
}

schedulable* ready_queue::first_to_leave_for(u32 cpu) const {
    if (schedulable* urgent = first_realtime_for(cpu)) {
        return urgent;
    }
    schedulable* last = _ready.last();
    while (last != nullptr && !last->allowed_on(cpu)) {
        last = _ready.prev(*last);
    }
    return last;
}

void ready_queue::give_way(schedulable& running) const {
    const schedulable* last = _ready.last();
    running.gives_way = running.is_realtime();
    if (last != nullptr && !running.is_realtime() && !last->is_realtime()) {
        running.virtual_time = std::max(running.virtual_time, last->virtual_time);
    }
}

bool ready_queue::has_equal_of(const schedulable& running) const {
    const schedulable* first = _ready.first();
    return first != nullptr && first->priority == running.priority;
}

bool ready_queue::is_used_up(const occupant& realtime) const {
    realtime_share share = _share;
    share.charge(realtime.since, realtime.time);
    return share.used_up(realtime.time);
}

bool ready_queue::takes_over(const schedulable& woken, const occupant& running) const {
    if (woken.is_realtime() || running.who.is_realtime()) [[unlikely]] {
        return takes_over_among_realtime(woken, running);
    }
    if (woken.kind != running.who.kind && running.who.kind == sharing::idle) {
        return true;
    }
    return woken.kind == sharing::normal &&
           woken.virtual_time + wake_granularity_ns < running.virtual_time();
}

bool ready_queue::takes_over_among_realtime(const schedulable& woken,
                                            const occupant& running) const {
    if (!running.who.is_realtime()) {
        return !_share.used_up(running.time);
    }
    return woken.is_realtime() ? woken.priority > running.who.priority
                               : woken.hurries || is_used_up(running);
}

u64 ready_queue::slice_end_among_realtime(const occupant& running) const {
    if (!running.who.is_realtime()) {
        return std::min(running.time + slice, _share.period_end());
    }
    u64 end = never;
    if (count() != count_realtime()) {
        realtime_share share = _share;
        share.charge(running.since, running.time);
        end = running.time + share.left();
    }
    if (running.who.takes_turns && has_equal_of(running.who)) {
        end = std::min(end, running.since + turn - std::min(turn, running.who.turn_used));
    }
    return end;
}

u32 choose_cpu(const schedulable& woken, u32 last, u32 cpus, load_function load_of) {
    u32 best = last;
    u32 least = last < cpus && woken.allowed_on(last) ? load_of(last) : ~u32{0};
    for (u32 candidate = 0; candidate < cpus && least != 0; ++candidate) {
        if (candidate == last || !woken.allowed_on(candidate)) {
            continue;
        }
        if (const u32 load = load_of(candidate); load < least) {
            best = candidate;
            least = load;
        }
    }
    return best;
}

}  // namespace kiln
