#include "drivers/virtio/command_queue.hh"

#include <algorithm>

#include "core/clock.hh"

namespace kiln::virtio {
namespace {

// A number as what the ring keeps of a request, which must not be null.
void* token_of(u32 number) {
    return reinterpret_cast<void*>(u64{number} + 1);
}

u32 number_of(const void* token) {
    return static_cast<u32>(reinterpret_cast<u64>(token) - 1);
}

}  // namespace

void command_queue::open(doorbell bell) {
    _bell = bell;
    _slots.init(std::clamp<u32>(_ring.size() / 4, 1, most_requests));
    reopen();
}

void command_queue::close() {
    {
        irq_guard guard(_lock);
        _open = false;
    }
    _room.wake_all();
}

void command_queue::restart() {
    irq_guard guard(_lock);
    _ring.restart();
}

void command_queue::reopen() {
    irq_guard guard(_lock);
    _open = true;
}

bool command_queue::take_finished(bool& any) {
    bool took_any = false, good = true;
    {
        irq_guard guard(_lock);
        queue::completion finished;
        while (_open && _ring.take(finished)) {
            (void)_slots.finish(number_of(finished.token), outcome::good);
            took_any = true;
        }
        good = !_open || !_ring.broken();
    }
    if (took_any) {
        any = true;
        _room.wake();
    }
    return good;
}

command_queue::submission command_queue::submit(u32 number, std::span<const segment> segments) {
    irq_guard guard(_lock);
    if (!_open) {
        return submission::refused;
    }
    if (!_ring.add(segments, token_of(number)).ok()) {
        return submission::ring_full;
    }
    if (_ring.publish()) {
        _bell.ring();
    }
    return submission::accepted;
}

bool command_queue::submit_when_room(u32 number, std::span<const segment> segments) {
    auto how = submission::ring_full;
    (void)wait_until(
        _room, [&] { return (how = submit(number, segments)) != submission::ring_full; }, never,
        wait_mode::uninterruptible);
    return how == submission::accepted;
}

command_queue::outcome command_queue::run(u32 number, std::span<const segment> segments,
                                          const patience& waiting) {
    if (!submit_when_room(number, segments)) {
        return outcome::again;
    }
    while (!_slots.wait(number, deadline_after(waiting.duration))) {
        waiting.expired(waiting.context);
    }
    return _slots.outcome_of(number);
}

}  // namespace kiln::virtio
