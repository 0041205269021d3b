// How a virtio device is reached: registers of VIRTIO 1.x over PCI, or the older ones in ports.
#pragma once

#include "drivers/pci/pci.hh"
#include "drivers/virtio/queue.hh"
#include "lib/ref.hh"

namespace kiln::virtio {

inline constexpr u16 no_message = 0xffff;

// Where a write tells the device to look at a queue. Context: any.
class doorbell {
public:
    void ring() const {
        if (_memory != nullptr) {
            *_memory = _queue;
        } else {
            ring_port();
        }
    }

    static doorbell at_memory(volatile u16* place, u16 queue_index) {
        return {place, 0, queue_index};
    }
    static doorbell at_port(u16 port, u16 queue_index) { return {nullptr, port, queue_index}; }
    constexpr doorbell() = default;

private:
    constexpr doorbell(volatile u16* memory, u16 port, u16 queue_index)
        : _memory(memory), _port(port), _queue(queue_index) {}
    void ring_port() const;

    volatile u16* _memory = nullptr;
    u16 _port = 0;
    u16 _queue = 0;
};

// One thread sets a device up; afterwards only take_interrupt_status and read_config are used.
class transport : noncopyable {
public:
    virtual ~transport() = default;

    virtual bool legacy() const = 0;
    virtual u64 device_features() = 0;
    virtual void set_driver_features(u64 features) = 0;
    virtual u8 status() = 0;
    virtual void set_status(u8 status) = 0;
    virtual void read_config(u32 offset, void* to, usize size) = 0;
    // Reads and clears what a line interrupt was for; 0: not from this device.
    virtual u8 take_interrupt_status() = 0;
    virtual void set_config_message(u16 message) = 0;
    // The greatest size of a queue; 0 when the device has not got it.
    virtual u16 queue_size(u16 index) = 0;
    // Tells the device where the queue is. err::io when it does not take the message number.
    virtual result<doorbell> enable_queue(u16 index, const queue& made, u16 message) = 0;
};

// Picks the newest registers that the function has. `uses_messages`: MSI-X is on, which moves the
// older registers.
result<unique<transport>> open_transport(pci::function& of, bool uses_messages);
result<unique<transport>> open_modern(pci::function& of);
result<unique<transport>> open_legacy(pci::function& of, bool uses_messages);

}  // namespace kiln::virtio
