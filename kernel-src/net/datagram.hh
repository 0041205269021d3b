// What UDP and raw sockets have in common: a queue of whole packets, which the network thread fills.
// Locks: _lock (sleeping) for bind, connect and options; _queue_lock (spin) for the queue, innermost.
// Context: threads.
#pragma once

#include "core/mutex.hh"
#include "net/inet_socket.hh"
#include "net/ip.hh"

namespace kiln::net {

// What one datagram is sent with.
struct datagram_settings {
    ip_address source;
    u8 ttl;
    u8 service;
    u32 interface_index = 0;
};
// The socket's settings in `to` give way to what the message's ancillary data says.
result<void> take_control(const socket_message& from, bool v6, datagram_settings& to);

class datagram_socket : public inet_socket {
public:
    using inet_socket::inet_socket;

    result<usize> receive(socket_message& message, u32 flags) override;
    result<void> shutdown(i32 how) override;
    result<usize> bytes_to_read() override;
    result<usize> bytes_unsent() override { return usize{0}; }
    u32 poll_events() override;
    void network_error(err reason, bool hard, u32 mtu) override;

    // Context: network threads. The packet's sequence holds the sender's port.
    void enqueue(packet_ptr packet);

protected:
    // There was no room for a packet.
    virtual void dropped() {}
    result<void> way_to(const endpoint& to, const ip_address& source, route& way);
    static result<packet_ptr> make_datagram(io_vector& from, usize size);

    mutex _lock;
    bool _write_shut = false;

private:
    result<packet_ptr> take(bool peek);
    void report_control(const packet_buffer& packet, socket_message& to);

    spinlock _queue_lock;
    packet_queue _received;
    usize _queued_bytes = 0;  // memory that the queue pins
    bool _read_shut = false;
};

}  // namespace kiln::net
