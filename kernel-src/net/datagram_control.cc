// Ancillary data of datagrams: what a received one came with, and what one is sent with where that is
// not as the socket's options say (ip(7), ipv6(7)). Context: threads.
#include "lib/bytes.hh"
#include "net/datagram.hh"
#include "net/interface.hh"
#include "net/ip.hh"

namespace kiln::net {
namespace {

constexpr u32 v4_info_size = 12, v6_info_size = 20;

void add_record(socket_message& to, i32 level, i32 type, const void* bytes, u32 size) {
    control_record record{level, type, size, {}};
    __builtin_memcpy(record.bytes, bytes, size);
    static_cast<void>(to.control.push_back(record));
}

// An int of at least `least` and at most 255; -1 stands for what the socket says.
result<void> take_byte(const control_record& from, i32 least, u8& to) {
    if (from.size != sizeof(i32)) {
        return err::inval;
    }
    const i32 value = load<i32>(from.bytes);
    if (value < least || value > 255) {
        return err::inval;
    }
    if (value >= 0) {
        to = static_cast<u8>(value);
    }
    return {};
}

result<void> take_v4(const control_record& from, datagram_settings& to) {
    switch (from.type) {
        case ip_option::packet_info:
            if (from.size != v4_info_size) {
                return err::inval;
            }
            to.interface_index = load<u32>(from.bytes);
            if (const u32 source = load_be<u32>(from.bytes + 4); source != 0) {
                to.source = ip_address::v4(source);
            }
            return {};
        case ip_option::ttl: return take_byte(from, 1, to.ttl);
        case ip_option::service:
            if (from.size == 1) {
                to.service = static_cast<u8>(from.bytes[0]);
                return {};
            }
            return take_byte(from, 0, to.service);
        default: return err::inval;
    }
}

result<void> take_v6(const control_record& from, datagram_settings& to) {
    switch (from.type) {
        case ipv6_option::packet_info: {
            if (from.size < v6_info_size) {
                return err::inval;
            }
            ip_address source{};
            __builtin_memcpy(source.bytes, from.bytes, 16);
            to.source = source.is_unspecified() ? to.source : source;
            to.interface_index = load<u32>(from.bytes + 16);
            return {};
        }
        case ipv6_option::hop_limit: return take_byte(from, -1, to.ttl);
        case ipv6_option::traffic_class: return take_byte(from, -1, to.service);
        case ipv6_option::dont_fragment: return {};
        default: return err::inval;
    }
}

}  // namespace

// Records of other levels are for others.
result<void> take_control(const socket_message& from, bool v6, datagram_settings& to) {
    for (const control_record& record : from.control) {
        if (record.level == socket_level::ip && !v6) {
            TRY(take_v4(record, to));
        } else if (record.level == socket_level::ipv6 && v6) {
            TRY(take_v6(record, to));
        }
    }
    return {};
}

void datagram_socket::report_control(const packet_buffer& packet, socket_message& to) {
    const ip_address destination = packet_destination(packet);
    const bool v4_form = !is_v6() || destination.is_v4();
    if (_packet_info && !is_v6()) {
        std::byte info[v4_info_size];
        store<u32>(info, packet.from->index());
        __builtin_memcpy(info + 4, destination.bytes + 12, 4);
        __builtin_memcpy(info + 8, destination.bytes + 12, 4);
        add_record(to, socket_level::ip, ip_option::packet_info, info, sizeof(info));
    } else if (_packet_info) {
        std::byte info[v6_info_size];
        __builtin_memcpy(info, destination.bytes, 16);
        store<u32>(info + 16, packet.from->index());
        add_record(to, socket_level::ipv6, ipv6_option::packet_info, info, sizeof(info));
    }
    if (_receive_ttl) {
        const i32 ttl = packet_ttl(packet);
        add_record(to, is_v6() ? socket_level::ipv6 : socket_level::ip,
                   is_v6() ? ipv6_option::hop_limit : ip_option::ttl, &ttl, sizeof(ttl));
    }
    if (_receive_service && v4_form) {
        const u8 service = packet_service(packet);
        add_record(to, socket_level::ip, ip_option::service, &service, sizeof(service));
    } else if (_receive_service) {
        const i32 service = packet_service(packet);
        add_record(to, socket_level::ipv6, ipv6_option::traffic_class, &service, sizeof(service));
    }
}

}  // namespace kiln::net
