// UDP sockets (RFC 768). What arrives is checked and queued by the network thread; the queue's spin
// lock is all that is needed, as there is no protocol work to share out.
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

class udp_socket final : public inet_socket {
public:
    udp_socket(network_stack& stack, u16 family);
    ~udp_socket() override;

    result<void> bind(const socket_address& address) override;
    result<void> connect(const socket_address& address, bool nonblocking) override;
    result<usize> send(socket_message& message, u32 flags) override;
    result<usize> receive(socket_message& message, u32 flags) override;
    result<void> shutdown(i32 how) override;
    result<void> set_option(i32 level, i32 name, std::span<const std::byte> value) override;
    result<usize> get_option(i32 level, i32 name, std::span<std::byte> value) override;
    result<usize> bytes_to_read() override;
    result<usize> bytes_unsent() override { return usize{0}; }
    u32 poll_events() override;
    void close() override;
    void network_error(err reason, bool hard, u32 mtu) override;

    // Context: network threads. The packet's sequence holds the sender's port.
    void enqueue(packet_ptr packet);

private:
    result<void> bind_if_needed();
    result<void> way_to(const endpoint& to, const ip_address& source, route& way);
    result<packet_ptr> take(bool peek);
    void report_control(const packet_buffer& packet, socket_message& to);

    mutex _lock;
    spinlock _queue_lock;
    packet_queue _received;
    usize _queued_bytes = 0;  // memory that the queue pins
    bool _read_shut = false;
    bool _write_shut = false;
    bool _cork = false;
};

void udp_input(network_stack& stack, packet_ptr packet);

}  // namespace kiln::net
