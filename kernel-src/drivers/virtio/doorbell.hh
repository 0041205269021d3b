// Where a write tells a virtio device to look at a queue. Context: any.
#pragma once

#include "lib/types.hh"

namespace kiln::virtio {

class doorbell {
public:
    void ring() const {
        if (_memory != nullptr) {
            *_memory = _queue;
        } else {
            ring_otherwise();
        }
    }

    static doorbell at_memory(volatile u16* place, u16 queue_index) {
        return {place, nullptr, 0, queue_index};
    }
    // Where registers are written whole.
    static doorbell at_wide_memory(volatile u32* place, u16 queue_index) {
        return {nullptr, place, 0, queue_index};
    }
    static doorbell at_port(u16 port, u16 queue_index) {
        return {nullptr, nullptr, port, queue_index};
    }
    constexpr doorbell() = default;

private:
    constexpr doorbell(volatile u16* memory, volatile u32* wide, u16 port, u16 queue_index)
        : _memory(memory), _wide(wide), _port(port), _queue(queue_index) {}
    void ring_otherwise() const;

    volatile u16* _memory = nullptr;
    volatile u32* _wide = nullptr;
    u16 _port = 0;
    u16 _queue = 0;
};

}  // namespace kiln::virtio
