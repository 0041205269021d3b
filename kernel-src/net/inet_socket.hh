// What TCP and UDP sockets have in common: addresses, the port, IP options.
#pragma once

#include "net/port_table.hh"
#include "net/route.hh"
#include "net/socket.hh"

namespace kiln::net {

class network_stack;

class inet_socket : public socket {
public:
    inet_socket(network_stack& stack, u16 family, u16 type, u16 protocol);
    ~inet_socket() override;

    result<void> local_address(socket_address& to) override;
    result<void> peer_address(socket_address& to) override;
    result<void> set_option(i32 level, i32 name, std::span<const std::byte> value) override;
    result<usize> get_option(i32 level, i32 name, std::span<std::byte> value) override;

    network_stack& net() const { return _net; }
    const endpoint& local() const { return _local; }
    const endpoint& peer() const { return _peer; }
    bool is_v6() const { return family() == address_family::inet6; }
    // ICMP told that packets to the peer do not arrive. `hard`: end a connection attempt.
    virtual void network_error(err reason, bool hard, u32 mtu) = 0;

protected:
    // What a user gave; err::inval, err::afnosupport. `allow_unspecified`: AF_UNSPEC gives port 0.
    result<endpoint> to_endpoint(const socket_address& given) const;
    void from_endpoint(const endpoint& from, socket_address& to) const;
    // The checks of bind on the address, then the port table.
    result<void> bind_port(const endpoint& wanted, bool datagrams);
    void option_changed(i32 name) override;

    network_stack& _net;
    endpoint _local;
    endpoint _peer;
    bool _has_peer = false;
    bool _bound = false;         // has a port
    bool _bound_address = false; // bind named an address
    bool _bound_port = false;    // bind named a port
    port_binding _binding{*this};
    u8 _ttl = 64;
    u8 _service = 0;
    u8 _multicast_ttl = 1;
    bool _multicast_loop = true;
    u32 _multicast_interface = 0;
    bool _v6_only = false;
    bool _packet_info = false;
    bool _receive_ttl = false;
    bool _receive_service = false;
    bool _receive_error = false;
    u8 _mtu_discover = 1;  // IP_PMTUDISC_WANT

private:
    result<void> set_ip_option(i32 name, std::span<const std::byte> value);
    result<void> set_ipv6_option(i32 name, std::span<const std::byte> value);
    result<usize> get_ip_option(i32 name, std::span<std::byte> value);
    result<usize> get_ipv6_option(i32 name, std::span<std::byte> value);
};

}  // namespace kiln::net
