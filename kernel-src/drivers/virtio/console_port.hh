// One port of a virtio-console device: a byte stream to the host that looks like a pipe.
//
// Written bytes are copied into pages of the port and sent from there, so that write returns as
// soon as there is room; nobody is interrupted for a finished page unless a writer waits for one.
// Read bytes stay in the pages they came in until somebody takes them, which is all the flow
// control there is. Lock: the port's, innermost but for the wait queue's; the interrupt handler
// takes it.
#pragma once

#include "core/console.hh"
#include "core/spinlock.hh"
#include "drivers/virtio/device.hh"

namespace kiln::virtio {

class console_port final : public byte_port {
public:
    static constexpr u16 queue_entries = 8;

    queue& receive_queue() { return _receive; }
    queue& transmit_queue() { return _transmit; }
    void set_doorbells(doorbell receive, doorbell transmit) {
        _receive_doorbell = receive;
        _transmit_doorbell = transmit;
    }
    // Takes the memory for so many buffers each way (at most queue_entries; none for a direction
    // that is not used) and gives the device those to receive into. Once.
    result<void> attach(u32 receive_pages, u32 transmit_pages);
    bool attached() const { return _attached; }

    // From the interrupt handler.
    void on_interrupt();
    void set_host_open(bool open);

    result<usize> read(std::span<std::byte> into, bool nonblocking) override;
    // With `nonblocking` from any context.
    result<usize> write(std::span<const std::byte> from, bool nonblocking) override;
    u32 poll_events() override;
    wait_queue& poll_queue() override { return _changed; }
    bool is_terminal() const override { return false; }
    void drain() override;

private:
    struct buffer {
        std::byte* data = nullptr;
        u32 size = 0;   // received: bytes in it
        u32 taken = 0;  // received: bytes read already
    };

    bool take_received();
    usize copy_received(std::span<std::byte> into);
    void offer(buffer& empty);
    void reap_transmitted();
    buffer* free_transmit_buffer();
    usize send_some(std::span<const std::byte> from);
    bool can_send();
    bool all_sent();
    bool readable();
    bool readable_or_closed();

    irq_spinlock _lock;
    wait_queue _changed;
    queue _receive;
    queue _transmit;
    doorbell _receive_doorbell;
    doorbell _transmit_doorbell;
    buffer _receive_buffers[queue_entries]{};
    buffer _transmit_buffers[queue_entries]{};
    u32 _transmit_free = 0;      // a bit a buffer
    buffer* _current = nullptr;  // being read
    bool _host_open = false;
    bool _attached = false;
    bool _writable = false;
};

}  // namespace kiln::virtio
