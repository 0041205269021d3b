#include "drivers/nic/queue_pair.hh"

#include <algorithm>

#include "core/clock.hh"
#include "core/thread.hh"

namespace kiln::nic {
namespace {

constexpr u64 memory_retry = 10 * ns_per_ms;
constexpr u64 look_without_interrupts = 1 * ns_per_ms;
constexpr u64 look_while_full = 1 * ns_per_s;

void count(std::atomic<u64>& counter, u64 by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace

std::string_view sentence_of(trouble what) {
    switch (what) {
        case trouble::broken_rings:
            return "the device broke its rings";
        case trouble::interrupt_storm:
            return "the device interrupts without end";
        case trouble::not_sending:
            return "the device has sent nothing for seconds";
        case trouble::lifeless:
            return "the device gives no sign of life";
        case trouble::wants_reset:
            return "the device asks for a reset";
        case trouble::failed:
            return "the device reports an error that it cannot mend";
        case trouble::strange_event:
            return "the device tells of events that nobody asked for";
        case trouble::none:
            break;
    }
    return "nothing is wrong";
}

void queue_pair::init(rings& served, card& of, u32 number, bool has_interrupts) {
    _rings = &served;
    _card = &of;
    _number = number;
    _has_interrupts = has_interrupts;
}

result<void> queue_pair::start(std::string_view name, net::net_receiver& receiver, u32 cpu) {
    _receiver = &receiver;
    TRY(start_kernel_thread(name, &run_thread, this, cpu));
    return {};
}

void queue_pair::add_counters(net::device_counters& to) const {
    to.received_packets += _received_packets;
    to.received_bytes += _received_bytes;
    to.received_dropped += _received_dropped;
    to.sent_packets += _sent_packets;
    to.sent_bytes += _sent_bytes;
    to.sent_dropped += _sent_dropped;
}

void queue_pair::count_lost(u64 frames) {
    count(_sent_dropped, frames);
}

void queue_pair::wake() {
    _work.store(true, std::memory_order_release);
    _thread_queue.wake();
}

bool queue_pair::wake_by_interrupt() {
    wake();
    return _idle_interrupts.fetch_add(1, std::memory_order_relaxed) < most_idle_interrupts;
}

void queue_pair::pause() {
    _round.lock();
    lock_guard guard(_transmit_lock);
    _paused = true;
}

void queue_pair::resume() {
    {
        lock_guard guard(_transmit_lock);
        _paused = false;
        _broken = false;
        _last_sent = now();
    }
    _idle_interrupts.store(0, std::memory_order_relaxed);
    _round.unlock();
    wake();
}

void queue_pair::serve() {
    for (turn_end last = turn(); last != turn_end::over; last = turn()) {
        if (last == turn_end::idle) {
            wait_for_work();
        }
    }
}

queue_pair::turn_end queue_pair::turn() {
    // Before looking at anything, so that a wake-up from now on makes another round.
    _work.exchange(false, std::memory_order_seq_cst);
    _card->look_round(_number);
    const trouble seen = _card->trouble_seen(_number);
    const outcome done = seen == trouble::none ? round() : outcome{true, seen};
    if (done.what != trouble::none) {
        // Without recovery the card has paused all its queues for good.
        return _card->recover(done.what) ? turn_end::worked : turn_end::over;
    }
    return done.worked ? turn_end::worked : turn_end::idle;
}

queue_pair::outcome queue_pair::round() {
    lock_guard guard(_round);
    u32 frames = 0, sent = 0;
    _starved = !_rings->refill();
    if (!receive_batch(frames) || !send_backlog(sent)) {
        return {true, trouble::broken_rings};
    }
    if (frames != 0 || sent != 0) {
        _idle_interrupts.store(0, std::memory_order_relaxed);
    } else if (_idle_interrupts.load(std::memory_order_relaxed) >= most_idle_interrupts) {
        return {true, trouble::interrupt_storm};
    }
    lock_guard transmit_guard(_transmit_lock);
    const bool stuck =
        (!_backlog.empty() && now() - _last_sent > longest_send) || _rings->is_overdue();
    return {stuck || frames != 0, stuck ? trouble::not_sending : trouble::none};
}

bool queue_pair::receive_batch(u32& frames) {
    received got = received::none;
    while (frames < frames_of_a_batch) {
        net::packet_ptr frame;
        got = _rings->take(frame);
        if (got == received::none || got == received::broken) {
            break;
        }
        ++frames;
        if (got == received::dropped) {
            count(_received_dropped);
            continue;
        }
        count(_received_packets);
        count(_received_bytes, frame->size());
        _receiver->deliver(std::move(frame));
    }
    if (frames != 0) {
        _starved = !_rings->refill();
        _receiver->batch_end();
    }
    return got != received::broken;
}

u64 queue_pair::next_look() const {
    if (!_has_interrupts) {
        return deadline_after(look_without_interrupts);
    }
    if (_starved) {
        return deadline_after(memory_retry);
    }
    const u64 longest = _card->longest_sleep();
    return deadline_after(_backlog.empty() ? longest : std::min(longest, look_while_full));
}

void queue_pair::wait_for_work() {
    u64 deadline;
    {
        lock_guard guard(_transmit_lock);
        const bool full = !_backlog.empty();
        _rings->allow_interrupts(full);
        if (_rings->has_received() || (full && _rings->has_sent())) {
            _rings->forbid_interrupts();
            return;
        }
        deadline = next_look();
    }
    (void)wait_until(
        _thread_queue, [this] { return _work.load(std::memory_order_acquire); }, deadline,
        wait_mode::uninterruptible);
    _rings->forbid_interrupts();
}

placed queue_pair::put(net::packet_buffer& frame) {
    const usize size = frame.size();
    const placed where = _rings->put(frame);
    if (where == placed::on_ring) {
        count(_sent_packets);
        count(_sent_bytes, size);
    } else if (where == placed::refused) {
        count(_sent_dropped);
    }
    return where;
}

bool queue_pair::reap(net::packet_queue& finished) {
    _broken = _broken || !_rings->reap(finished);
    if (!finished.empty()) {
        _idle_interrupts.store(0, std::memory_order_relaxed);
        _last_sent = _backlog.empty() ? 0 : now();
    }
    return !_broken;
}

void queue_pair::keep_or_drop(net::packet_ptr frame) {
    if (_backlog.count() >= longest_backlog) {
        count(_sent_dropped);
        return;
    }
    if (_backlog.empty()) {
        _last_sent = now();
    }
    _backlog.push_back(std::move(frame));
}

void queue_pair::transmit(net::packet_ptr frame, bool more) {
    net::packet_queue finished;  // deleted after the lock is released
    lock_guard guard(_transmit_lock);
    if (_paused || !reap(finished)) {
        count(_sent_dropped);
        wake();
        return;
    }
    const placed where = _backlog.empty() ? put(*frame) : placed::no_room;
    if (where == placed::on_ring) {
        frame.leak();
    }
    if (where != placed::no_room) {
        if (!more) {
            _rings->tell_device();
        }
        return;
    }
    keep_or_drop(std::move(frame));
    _rings->tell_device();
    wake();
}

// In the thread: frames that found the ring full, and what the device is done with.
bool queue_pair::send_backlog(u32& sent) {
    net::packet_queue finished;
    lock_guard guard(_transmit_lock);
    const bool good = reap(finished);
    sent = static_cast<u32>(finished.count());
    while (good && !_backlog.empty()) {
        const placed where = put(*_backlog.front());
        if (where == placed::no_room) {
            break;
        }
        net::packet_ptr first = _backlog.pop_front();
        if (where == placed::on_ring) {
            first.leak();
        }
    }
    _rings->tell_device();
    return good;
}

}  // namespace kiln::nic
