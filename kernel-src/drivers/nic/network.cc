#include "drivers/nic/network.hh"

#include "core/clock.hh"
#include "core/log.hh"
#include "core/thread.hh"

namespace kiln::nic {

result<void> network::add_queue(queue_pair& queue, rings& served, bool has_interrupts) {
    const u32 number = static_cast<u32>(_queues.size());
    if (number == 0 && !has_interrupts) {
        log_warning("{}: no interrupt can be had; the card is looked at every millisecond", _name);
    }
    queue.init(served, *this, number, has_interrupts);
    return _queues.push_back(&queue);
}

net::device_counters network::counters() const {
    net::device_counters sum{};
    for (const queue_pair* each : _queues) {
        each->add_counters(sum);
    }
    return sum;
}

net::device_counters network::queue_counters(u32 queue) const {
    net::device_counters own{};
    _queues[queue]->add_counters(own);
    return own;
}

void network::transmit(net::packet_ptr frame, bool more) {
    const usize number = _queues.size() == 1 ? 0 : this_cpu() % _queues.size();
    _queues[number]->transmit(std::move(frame), more);
}

void network::start(net::net_receiver& receiver) {
    _receiver = &receiver;
    for (u32 i = 0; i < _queues.size(); ++i) {
        // A single queue's thread may run wherever there is time.
        const u32 cpu = _queues.size() == 1 ? max_cpus : i;
        if (!_queues[i]->start(_name, receiver, cpu).ok()) {
            log_error("{}: no memory for a thread", _name);
        }
    }
}

void network::set_link(bool up) {
    if (_link_up.exchange(up) != up && _receiver != nullptr) {
        _receiver->link_changed(up);
    }
}

// Some cards need more than one attempt.
bool network::reset_helps(trouble what) {
    while (worth_a_reset(what) && _resets.may_try(now())) {
        if (restart().ok()) {
            return true;
        }
    }
    return false;
}

bool network::recover(trouble what) {
    lock_guard guard(_configuring);
    if (_off) {
        return false;
    }
    for (queue_pair* each : _queues) {
        each->pause();
    }
    if (reset_helps(what)) {
        log_warning("{}: {}; it was reset", _name, sentence_of(what));
        for (queue_pair* each : _queues) {
            each->resume();
        }
        set_link(read_link());
        return true;
    }
    _off = true;
    switch_off();
    log_error("{}: {}; it is not used any more", _name, sentence_of(what));
    set_link(false);
    return false;
}

}  // namespace kiln::nic
