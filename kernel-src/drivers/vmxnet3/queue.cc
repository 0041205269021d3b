#include "drivers/vmxnet3/queue.hh"

#include <atomic>

#include "drivers/mmio.hh"

namespace kiln::vmxnet3 {

void queue::init(std::byte* memory, u32 number, u32 queues, interrupts by,
                 volatile u8* registers) {
    static_assert(transmit_rings::total_bytes % ring_alignment == 0);
    _registers = registers;
    _number = number;
    _by = by;
    _transmit.init(memory);
    _receive.init(memory + transmit_rings::total_bytes, number, queues);
}

void queue::describe(transmit_queue& sends, receive_queue& receives) {
    _transmit.describe(sends);
    _receive.describe(receives);
    sends.interrupt = _by.sent;
    receives.interrupt = _by.received;
    _wants_place = &receives.wants_place;
}

// What was written to memory before is there before the register is written.
void queue::write(u32 where, u32 value) {
    std::atomic_thread_fence(std::memory_order_release);
    mmio_write<u32>(_registers, where, value);
}

void queue::announce_buffers() {
    write(queue_reg::receive_place + _number * queue_reg::step, _receive.head_place());
    write(queue_reg::body_place + _number * queue_reg::step, _receive.body_place());
}

bool queue::refill() {
    const bool full = _receive.refill();
    if (__atomic_load_n(_wants_place, __ATOMIC_RELAXED) != 0) {
        announce_buffers();
    }
    return full;
}

void queue::tell_device() {
    if (_transmit.has_news()) {
        _transmit.told();
        write(queue_reg::transmit_place + _number * queue_reg::step, _transmit.place());
    }
}

void queue::allow_interrupts(bool sent) {
    write(queue_reg::interrupt_mask + _by.received * queue_reg::step, 0);
    if (sent && _by.sent != _by.received) {
        write(queue_reg::interrupt_mask + _by.sent * queue_reg::step, 0);
    }
}

void queue::clear() {
    _receive.clear();
    _transmit.clear();
}

}  // namespace kiln::vmxnet3
