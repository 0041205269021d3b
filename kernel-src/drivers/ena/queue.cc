#include "drivers/ena/queue.hh"

namespace kiln::ena {
namespace {

constexpr u64 between_looks = 1 * ns_per_s;

}  // namespace

result<void> queue::allocate(machine& in, const plan& by, u64 reach) {
    _machine = &in;
    _plan = by;
    TRY(_transmit.allocate(in, by, reach));
    return _receive.allocate({by.receive_depth, by.most_received, by.checks_zeros, reach});
}

void queue::open(const place& at) {
    _place = at;
    _delays_told = false;
    _transmit.open(at.transmit_doorbell, at.transmit_lines);
}

void queue::clear() {
    _transmit.clear();
    _receive.clear();
}

bool queue::refill() {
    bool given = false;
    const bool full = _receive.refill(given);
    if (given) {
        _machine->write(_place.receive_doorbell, _receive.tail() & 0xffff);
    }
    return full;
}

void queue::set_patience(u64 longest_send, u32 most_overdue) {
    _longest_send.store(longest_send, std::memory_order_relaxed);
    _most_overdue.store(most_overdue, std::memory_order_relaxed);
}

// One frame late may be one completion lost; when nothing else is sent either, all is.
bool queue::is_overdue() {
    if (_transmit.in_flight() == 0) {
        return false;
    }
    const u64 longest = _longest_send.load(std::memory_order_relaxed), time = now();
    if (time < longest || time < _next_look) {
        return false;
    }
    _next_look = time + between_looks;
    const u64 since = time - longest;
    const u32 late = _transmit.older_than(since);
    return late > _most_overdue.load(std::memory_order_relaxed) ||
           (late != 0 && _transmit.last_sent() < since);
}

// The device masks a pair's interrupt as it sends it.
void queue::allow_interrupts(bool) {
    if (!_plan.interrupts) {
        return;
    }
    const u32 delays = _plan.has_delays && !_delays_told
                           ? _plan.delay_sent << interrupt::sent_delay_shift
                           : interrupt::keep_delays;
    _delays_told = true;
    _machine->write(_place.interrupt_register, interrupt::unmask | delays);
}

}  // namespace kiln::ena
