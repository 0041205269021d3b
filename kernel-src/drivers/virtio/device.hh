// What every virtio driver does alike: negotiation, queues, interrupts (VIRTIO 1.2, 3.1).
//
//   device.begin(features I can use) → device.add_queue … → device.start()
//
// One thread does this. A device that misbehaves is told so by fail() and left alone. Devices are
// found at boot and never go.
#pragma once

#include "drivers/virtio/transport.hh"

namespace kiln::virtio {

class device : noncopyable {
public:
    explicit device(pci::function& function) : _function(function) {}

    result<void> open();
    // Resets the device and agrees on those of `wanted` that it offers (and the ring's own).
    result<void> begin(u64 wanted);
    bool has(u64 feature) const { return (_features & feature) == feature; }
    bool legacy() const { return _transport->legacy(); }

    // The number of a message that calls `handler` on `cpu`, for add_queue. Without MSI-X every
    // handler is called for every interrupt, and the number is no_message.
    result<u16> connect(interrupt_handler handler, void* context, u32 cpu);
    // The handler connected as `message` is told of configuration changes too.
    void set_config_message(u16 message) { _transport->set_config_message(message); }

    // A queue of `wanted` entries at the most. err::nodev when the device has not got it.
    result<doorbell> add_queue(u16 index, queue& made, u16 wanted, u16 message);
    void start();
    void fail();
    // Whether the device has asked for a reset, which we answer by leaving it alone.
    bool needs_reset() { return (_transport->status() & status::needs_reset) != 0; }

    template <class T>
    T config(u32 offset) {
        T value;
        _transport->read_config(offset, &value, sizeof(T));
        return value;
    }
    void read_config(u32 offset, void* to, usize size) {
        _transport->read_config(offset, to, size);
    }

private:
    struct connection {
        interrupt_handler handler;
        void* context;
    };
    static constexpr u32 most_connections = 8;

    static void on_shared_line(void* context);
    result<void> connect_shared(interrupt_handler handler, void* context, u32 cpu);
    result<std::byte*> ring_memory(usize size);

    pci::function& _function;
    pci::interrupt_source _interrupts;
    unique<transport> _transport;
    u64 _features = 0;
    u32 _messages_used = 0;
    connection _connections[most_connections]{};
    u32 _connection_count = 0;
    std::byte* _spare = nullptr;  // rest of the last page taken for rings
    usize _spare_size = 0;
};

}  // namespace kiln::virtio
