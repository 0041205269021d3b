// What every virtio driver does alike: negotiation, queues, interrupts (VIRTIO 1.2, 3.1).
//
//   device.begin(features I can use) → device.add_queue … → device.start()
//
// One thread does this. A device that misbehaves is told so by fail() and left alone. Devices are
// found at boot and never go.
#pragma once

#include "drivers/virtio/transport.hh"
#include "lib/vector.hh"

namespace kiln::virtio {

class device : noncopyable {
public:
    explicit device(unique<transport> by) : _transport(std::move(by)) {}

    // Resets the device and agrees on those of `wanted` that it offers (and the ring's own).
    result<void> begin(u64 wanted);
    bool has(u64 feature) const { return (_features & feature) == feature; }
    bool has_messages() const { return _transport->has_messages(); }
    bool legacy() const { return _transport->legacy(); }

    // The number of a message that calls `handler` on `cpu`, for add_queue. Without messages every
    // handler is called for every interrupt, and the number is no_message.
    result<u16> connect(interrupt_handler handler, void* context, u32 cpu);
    // The handler connected as `message` is told of configuration changes too.
    void set_config_message(u16 message) {
        _config_message = message;
        _transport->set_config_message(message);
    }

    // A queue of `wanted` entries at the most. err::nodev when the device has not got it.
    result<doorbell> add_queue(u16 index, queue& made, u16 wanted, u16 message);
    void start();

    // For a device that is at fault: it is reset, and leaves memory alone when this has worked. Then
    // the queues are emptied, all of them; restart() agrees with the device as before and shows it
    // its queues, and start() lets it work.
    result<void> stop();
    result<void> restart();

    void fail();
    // The device reaches no memory and does not interrupt any more.
    void switch_off();
    // No interrupts any more. Context: any.
    void silence() { _transport->silence(); }
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
    struct added_queue {
        queue* made;
        u16 index;
        u16 message;
    };
    static constexpr u32 most_connections = 8;

    static void on_shared_line(void* context);
    result<void> connect_shared(interrupt_handler handler, void* context, u32 cpu);
    result<void> agree(u64 wanted);
    result<std::byte*> ring_memory(usize size);

    unique<transport> _transport;
    u64 _features = 0;
    u32 _messages_used = 0;
    u16 _config_message = no_message;
    vector<added_queue> _queues;
    connection _connections[most_connections]{};
    u32 _connection_count = 0;
    std::byte* _spare = nullptr;  // rest of the last page taken for rings
    usize _spare_size = 0;
};

}  // namespace kiln::virtio
