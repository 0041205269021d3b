// Raw IPv4 sockets: a copy of each packet of one protocol with its header, and packets of one's own.
// They see what comes beside whoever the packet is for. A checksum that loopback has left out is not
// there either, as on Linux.
// Locks: raw_table's own (spin) around its list; it is held for as long as receivers are looked for.
// Context: threads.
#pragma once

#include "net/datagram.hh"

namespace kiln::net {

class raw_socket final : public datagram_socket {
public:
    raw_socket(network_stack& stack, u16 protocol);
    ~raw_socket() override;

    result<void> bind(const socket_address& address) override;
    result<void> connect(const socket_address& address, bool nonblocking) override;
    result<void> peer_address(socket_address& to) override;
    result<usize> send(socket_message& message, u32 flags) override;
    result<void> set_option(i32 level, i32 name, std::span<const std::byte> value) override;
    result<usize> get_option(i32 level, i32 name, std::span<std::byte> value) override;
    void close() override;

private:
    friend class raw_table;

    bool wants(const packet_buffer& packet) const;
    bool filtered(const packet_buffer& packet) const;
    result<endpoint> destination(const socket_message& message) const;
    result<void> send_with_header(packet_ptr packet, const route& way);

    bool _header_included;
    std::atomic<u32> _icmp_filter{0};  // bit n: no ICMP of type n
    std::atomic<u32> _listening_at{0};  // addresses that packets have to be for and from; 0: any
    std::atomic<u32> _listening_to{0};
    list_node _link;
};

class raw_table {
public:
    void add(raw_socket& socket);
    void remove(raw_socket& socket);
    // A whole IPv4 packet, its header in front.
    void deliver(const packet_buffer& packet);

private:
    static constexpr usize most_receivers = 16;

    spinlock _lock;
    list<raw_socket, &raw_socket::_link> _sockets;
    std::atomic<u32> _count{0};
};

}  // namespace kiln::net
