#include "net/interface.hh"

#include <algorithm>

#include "net/ip.hh"
#include "net/stack.hh"
#include "net/wire.hh"

namespace kiln::net {

interface::interface(network_stack& stack, std::string_view name, u32 index, net_device* device)
    : _stack(stack),
      _index(index),
      _device(device),
      _mtu(device != nullptr ? device->mtu() : 65536),
      _neighbours(*this) {
    std::copy_n(name.data(), std::min<usize>(name.size(), sizeof(_name) - 1), _name);
    if (device != nullptr) {
        _mac = device->mac();
    }
}

device_counters interface::counters() const {
    if (_device != nullptr) {
        return _device->counters();
    }
    const u64 packets = _loopback_packets.load(std::memory_order_relaxed);
    const u64 bytes = _loopback_bytes.load(std::memory_order_relaxed);
    return {packets, bytes, 0, packets, bytes, 0};
}

interface_address* interface::find(const ip_address& address) {
    for (usize i = 0; i < _address_count; ++i) {
        if (_addresses[i].prefix.address == address) {
            return &_addresses[i];
        }
    }
    return nullptr;
}

result<void> interface::add_address(const interface_address& added) {
    {
        lock_guard guard(_lock);
        if (interface_address* known = find(added.prefix.address)) {
            known->preferred_until = added.preferred_until;
            known->valid_until = added.valid_until;
            return err::exist;
        }
        if (_address_count == max_addresses) {
            return err::nospc;
        }
        _addresses[_address_count++] = added;
    }
    _stack.routes_changed();
    return {};
}

result<void> interface::remove_address(const ip_address& address) {
    {
        lock_guard guard(_lock);
        interface_address* found = find(address);
        if (found == nullptr) {
            return err::addrnotavail;
        }
        std::copy(found + 1, _addresses + _address_count, found);
        --_address_count;
    }
    _stack.routes_changed();
    return {};
}

bool interface::has_address(const ip_address& address, bool tentative_too) {
    lock_guard guard(_lock);
    const interface_address* found = find(address);
    return found != nullptr && (tentative_too || !found->tentative);
}

void interface::confirm_address(const ip_address& address) {
    {
        lock_guard guard(_lock);
        if (interface_address* found = find(address)) {
            found->tentative = false;
        }
    }
    _stack.routes_changed();
}

void interface::expire_addresses(u64 time) {
    for (;;) {
        ip_address gone;
        bool any = false;
        {
            lock_guard guard(_lock);
            for (usize i = 0; i < _address_count && !any; ++i) {
                any = _addresses[i].valid_until <= time;
                gone = _addresses[i].prefix.address;
            }
        }
        if (!any || !remove_address(gone).ok()) {
            return;
        }
    }
}

usize interface::addresses(std::span<interface_address> to) {
    lock_guard guard(_lock);
    const usize count = std::min(to.size(), _address_count);
    std::copy_n(_addresses, count, to.data());
    return count;
}

bool interface::is_broadcast(const ip_address& address) {
    if (address.is_limited_broadcast()) {
        return true;
    }
    if (!address.is_v4() || is_loopback()) {
        return false;
    }
    lock_guard guard(_lock);
    for (usize i = 0; i < _address_count; ++i) {
        const ip_prefix& prefix = _addresses[i].prefix;
        if (prefix.address.is_v4() && prefix.length < 31 && prefix.contains(address)) {
            const u32 host_bits = 0xffffffffu >> prefix.length;
            if ((address.to_v4() & host_bits) == host_bits) {
                return true;
            }
        }
    }
    return false;
}

// RFC 6724, 5: the same scope first, then not deprecated, then the longest common prefix.
u32 interface::source_score(const interface_address& candidate, const ip_address& destination) const {
    const ip_address& address = candidate.prefix.address;
    if (address.is_v4() != destination.is_v4() || candidate.tentative) {
        return 0;
    }
    u32 score = 1;
    score += address.is_link_local() == destination.is_link_local() ? 1024 : 0;
    score += candidate.preferred_until > now() ? 512 : 0;
    score += candidate.prefix.contains(destination) ? 256 : 0;
    return score;
}

ip_address interface::source_for(const ip_address& destination) {
    lock_guard guard(_lock);
    const interface_address* best = nullptr;
    u32 best_score = 0;
    for (usize i = 0; i < _address_count; ++i) {
        const u32 score = source_score(_addresses[i], destination);
        if (score > best_score) {
            best = &_addresses[i];
            best_score = score;
        }
    }
    if (best != nullptr) {
        return best->prefix.address;
    }
    return destination.is_v4() ? any_v4 : any_v6;
}

mac_address multicast_mac(const ip_address& group) {
    const u8* b = group.bytes;
    if (group.is_v4()) {
        return {{0x01, 0x00, 0x5e, static_cast<u8>(b[13] & 0x7f), b[14], b[15]}};
    }
    return {{0x33, 0x33, b[12], b[13], b[14], b[15]}};
}

void interface::send(packet_ptr packet, const ip_address& next_hop, bool more) {
    if (is_loopback()) {
        _loopback_packets.fetch_add(1, std::memory_order_relaxed);
        _loopback_bytes.fetch_add(packet->size(), std::memory_order_relaxed);
        packet->from = this;
        _stack.loop_back(std::move(packet));
        return;
    }
    mac_address to;
    if (next_hop.is_multicast()) {
        to = multicast_mac(next_hop);
    } else if (is_broadcast(next_hop)) {
        to = broadcast_mac;
    } else if (!_neighbours.resolve(next_hop, packet, to)) {
        return;
    }
    send_frame(std::move(packet), to, next_hop.is_v4() ? ether_type::ipv4 : ether_type::ipv6, more);
}

void interface::send_frame(packet_ptr packet, const mac_address& to, u16 type, bool more) {
    if (!is_up()) {
        return;
    }
    auto* header = header_at<ethernet_header>(packet->push(sizeof(ethernet_header)));
    header->destination = to;
    header->source = _mac;
    header->type = type;
    packet->offload.checksum_start += sizeof(ethernet_header);
    packet->offload.header_size += sizeof(ethernet_header);
    _device->transmit(std::move(packet), more);
}

void interface::deliver(packet_ptr frame) {
    if (!is_up() || !frame->linearise(sizeof(ethernet_header))) {
        return;
    }
    const auto* header = header_at<ethernet_header>(frame->data());
    const u16 type = header->type;
    frame->is_broadcast = header->destination.is_multicast();
    if (!frame->is_broadcast && header->destination != _mac) {
        return;
    }
    frame->from = this;
    frame->pull(sizeof(ethernet_header));
    if (type == ether_type::ipv4) {
        ipv4_input(*this, std::move(frame));
    } else if (type == ether_type::ipv6) {
        ipv6_input(*this, std::move(frame));
    } else if (type == ether_type::arp) {
        arp_input(*this, std::move(frame));
    }
}

void interface::batch_end() {
    _stack.run_pending();
}

void interface::link_changed(bool up) {
    if (!up) {
        _neighbours.clear();
    }
    _stack.link_changed(*this, up);
}

}  // namespace kiln::net
