#include "drivers/ena/event_queue.hh"

namespace kiln::ena {

result<void> event_queue::start(hardware& device) {
    _device = &device;
    _taken = _told = 0;
    if (!device.reaches(_ring.place(), _ring.size())) {
        return err::nomem;
    }
    _ring.clear();
    device.write_address(reg::events_low, _ring.place());
    device.write(reg::events_shape, queue_shape(entries, sizeof(event)));
    return {};
}

void event_queue::allow() {
    _told = _taken;
    _device->write(reg::events_doorbell, (_taken + entries) & 0xffff);
}

bool event_queue::take(event& next) {
    const event& at = _ring.as<event>()[_taken % entries];
    const bool round = (_taken / entries) % 2 == 0;
    const u8 flags = __atomic_load_n(&at.flags, __ATOMIC_ACQUIRE);
    if (((flags & event::phase) != 0) != round) {
        return false;
    }
    __builtin_memcpy(&next, &at, sizeof(next));
    ++_taken;
    return true;
}

void event_queue::give_back() {
    if (_told != _taken) {
        allow();
    }
}

}  // namespace kiln::ena
