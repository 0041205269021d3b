// The Internet layer, both versions: what arrives is checked and given to its protocol, what leaves
// gets its header and, where it must, is cut into fragments.
// Context: threads.
#pragma once

#include "net/interface.hh"
#include "net/route.hh"
#include "net/wire.hh"

namespace kiln::net {

class network_stack;

struct ip_send {
    ip_address source;
    ip_address destination;
    u8 protocol = 0;
    u8 ttl = 64;
    u8 service = 0;
    bool dont_fragment = true;
    bool may_fragment = false;  // larger datagrams are cut here; otherwise they are err::msgsize
};

void ipv4_input(interface& on, packet_ptr packet);
void ipv6_input(interface& on, packet_ptr packet);
// A whole datagram for us whose header has been pulled: to its protocol.
void transport_input(network_stack& stack, u8 protocol, packet_ptr packet);

// Puts the header in front and sends along `way`.
result<void> ip_output(network_stack& stack, packet_ptr packet, const ip_send& how, const route& way,
                       bool more = false);

// Computes the transport checksum that offload.checksum leaves to the device.
void fill_checksum(packet_buffer& packet);

// Addresses of a received packet, from its network header.
ip_address packet_source(const packet_buffer& packet);
ip_address packet_destination(const packet_buffer& packet);
u8 packet_ttl(const packet_buffer& packet);
u8 packet_service(const packet_buffer& packet);

// icmp.cc
namespace icmp_type {
inline constexpr u8 echo_reply = 0, unreachable = 3, echo = 8, time_exceeded = 11;
}
namespace icmp6_type {
inline constexpr u8 unreachable = 1, too_big = 2, time_exceeded = 3, echo = 128, echo_reply = 129,
                    router_solicit = 133, router_advertise = 134, neighbour_solicit = 135,
                    neighbour_advertise = 136;
}
void icmp_input(network_stack& stack, packet_ptr packet);
void icmp6_input(network_stack& stack, packet_ptr packet);
// Tells the sender of `about` that its port has nobody (the packet's headers may be pulled).
void send_port_unreachable(network_stack& stack, const packet_buffer& about);
void send_icmp6(interface& on, packet_ptr packet, const ip_address& source,
                const ip_address& destination, u8 hop_limit);
// ndp.cc
void ndp_input(interface& on, u8 type, packet_ptr packet);

}  // namespace kiln::net
