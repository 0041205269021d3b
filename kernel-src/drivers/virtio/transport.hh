// How a virtio device is reached: registers of VIRTIO 1.x over PCI, the older ones in ports, or those
// of a device that is in memory without any bus.
#pragma once

#include "drivers/pci/pci.hh"
#include "drivers/virtio/doorbell.hh"
#include "drivers/virtio/queue.hh"
#include "lib/ref.hh"

namespace kiln::virtio {

inline constexpr u16 no_message = 0xffff;

// One thread sets a device up, or resets it; otherwise only take_interrupt_status, status, read_config
// and silence are used.
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
    // Whether a queue has to be as large as the device says.
    virtual bool fixed_queue_size() const = 0;
    // The greatest size of a queue; 0 when the device has not got it.
    virtual u16 queue_size(u16 index) = 0;
    // Tells the device where the queue is. err::io when it does not take the message number.
    virtual result<doorbell> enable_queue(u16 index, const queue& made, u16 message) = 0;

    // Whether each of several interrupts can have a handler of its own (MSI-X).
    virtual bool has_messages() const = 0;
    // Calls `handler` on `cpu` for message `index`; without messages: for the one interrupt, 0.
    virtual result<void> connect(u32 index, interrupt_handler handler, void* context, u32 cpu) = 0;
    // No interrupts any more. Context: any.
    virtual void silence() = 0;
    // The device reaches no memory any more, as far as its bus can see to that.
    virtual void cut_off() = 0;
};

}  // namespace kiln::virtio
