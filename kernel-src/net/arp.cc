// ARP for IPv4 over Ethernet (RFC 826, RFC 5227).
#include "core/log.hh"
#include "net/interface.hh"
#include "net/wire.hh"

namespace kiln::net {
namespace {

constexpr u16 hardware_ethernet = 1;
constexpr u16 operation_request = 1;
constexpr u16 operation_reply = 2;

void arp_send(interface& on, u16 operation, const ip_address& sender, const mac_address& target_mac,
              const ip_address& target, const mac_address& frame_to) {
    auto made = packet_buffer::make();
    if (!made.ok()) {
        return;
    }
    packet_ptr packet = made.take();
    auto* header = header_at<arp_header>(packet->push(sizeof(arp_header)));
    header->hardware = hardware_ethernet;
    header->protocol = ether_type::ipv4;
    header->hardware_size = sizeof(mac_address);
    header->protocol_size = 4;
    header->operation = operation;
    header->sender_mac = on.mac();
    header->sender_ip = sender.to_v4();
    header->target_mac = target_mac;
    header->target_ip = target.to_v4();
    on.send_frame(std::move(packet), frame_to, ether_type::arp);
}

}  // namespace

void arp_request(interface& on, const ip_address& target, const mac_address* known) {
    const ip_address source = on.source_for(target);
    arp_send(on, operation_request, source, mac_address{}, target,
             known != nullptr ? *known : broadcast_mac);
}

void arp_announce(interface& on, const ip_address& address) {
    arp_send(on, operation_request, address, mac_address{}, address, broadcast_mac);
}

void arp_input(interface& on, packet_ptr packet) {
    if (!packet->linearise(sizeof(arp_header))) {
        return;
    }
    const auto* header = header_at<arp_header>(packet->data());
    if (header->hardware != hardware_ethernet || header->protocol != ether_type::ipv4 ||
        header->hardware_size != sizeof(mac_address) || header->protocol_size != 4 ||
        header->sender_mac.is_multicast()) {
        return;
    }
    const ip_address sender = ip_address::v4(header->sender_ip);
    const ip_address target = ip_address::v4(header->target_ip);
    if (on.has_address(sender)) {
        if (header->sender_mac != on.mac()) {
            log_warning("{}: another machine uses our IPv4 address", on.name());
        }
        return;
    }
    const bool for_us = on.has_address(target);
    if (!sender.is_unspecified() && !sender.is_multicast() && !on.is_broadcast(sender)) {
        on.neighbours().learn(sender, header->sender_mac, for_us,
                              header->operation == operation_reply && for_us);
    }
    if (for_us && header->operation == operation_request) {
        arp_send(on, operation_reply, target, header->sender_mac, sender, header->sender_mac);
    }
}

}  // namespace kiln::net
