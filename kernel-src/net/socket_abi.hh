// Numbers of the Linux socket ABI (include/uapi/linux/socket.h, asm-generic/socket.h, in.h, in6.h,
// tcp.h).
#pragma once

#include "lib/types.hh"

namespace kiln {

namespace address_family {
inline constexpr u16 unspecified = 0, local = 1, inet = 2, inet6 = 10, netlink = 16;
}
namespace socket_type {
inline constexpr u16 stream = 1, datagram = 2, raw = 3, sequential = 5, mask = 0xf;
inline constexpr u32 nonblock = 04000, cloexec = 02000000;
}
namespace message_flag {
inline constexpr u32 oob = 1, peek = 2, dont_route = 4, control_truncated = 8, truncated = 0x20,
                     dont_wait = 0x40, end_of_record = 0x80, wait_all = 0x100, confirm = 0x800,
                     error_queue = 0x2000, no_signal = 0x4000, more = 0x8000,
                     wait_for_one = 0x10000, zero_copy = 0x4000000, fast_open = 0x20000000,
                     close_on_exec = 0x40000000;
}
namespace socket_level {
inline constexpr i32 ip = 0, socket = 1, tcp = 6, udp = 17, ipv6 = 41, netlink = 270;
}
namespace socket_option {
inline constexpr i32 debug = 1, reuse_address = 2, type = 3, error = 4, dont_route = 5,
                     broadcast = 6, send_buffer = 7, receive_buffer = 8, keep_alive = 9,
                     oob_inline = 10, no_check = 11, priority = 12, linger = 13, reuse_port = 15,
                     pass_credentials = 16, peer_credentials = 17, receive_low_water = 18,
                     send_low_water = 19, receive_timeout_old = 20, send_timeout_old = 21,
                     bind_to_device = 25, attach_filter = 26, detach_filter = 27, timestamp_old = 29,
                     accepting = 30, peer_security = 31, send_buffer_force = 32,
                     receive_buffer_force = 33, pass_security = 34, timestamp_ns_old = 35, mark = 36,
                     timestamping_old = 37, protocol = 38, domain = 39, receive_overflow = 40,
                     wifi_status = 41, peek_offset = 42, lock_filter = 44, busy_poll = 46,
                     max_pacing_rate = 47, incoming_cpu = 49, incoming_napi = 56, zero_copy = 60,
                     receive_timeout_new = 66, send_timeout_new = 67;
}
namespace ip_option {
inline constexpr i32 service = 1, ttl = 2, header_included = 3, options = 4, receive_options = 6,
                     packet_info = 8, mtu_discover = 10, receive_error = 11, receive_ttl = 12,
                     receive_service = 13, mtu = 14, free_bind = 15, multicast_interface = 32,
                     multicast_ttl = 33, multicast_loop = 34, add_membership = 35,
                     drop_membership = 36, bind_address_no_port = 24, multicast_all = 49,
                     local_port_range = 51;
}
namespace ipv6_option {
inline constexpr i32 unicast_hops = 16, multicast_interface = 17, multicast_hops = 18,
                     multicast_loop = 19, join_group = 20, leave_group = 21, mtu_discover = 23,
                     mtu = 24, receive_error = 25, v6_only = 26, receive_packet_info = 49,
                     packet_info = 50, receive_hop_limit = 51, hop_limit = 52,
                     receive_traffic_class = 66, traffic_class = 67, dont_fragment = 62,
                     address_preferences = 72, auto_flow_label = 70;
}
namespace tcp_option {
inline constexpr i32 no_delay = 1, max_segment = 2, cork = 3, keep_idle = 4, keep_interval = 5,
                     keep_count = 6, syn_count = 7, linger2 = 8, defer_accept = 9, window_clamp = 10,
                     info = 11, quick_ack = 12, congestion = 13, md5_signature = 14,
                     user_timeout = 18, fast_open = 23, timestamp = 24, notsent_low_water = 25,
                     fast_open_connect = 30, ulp = 31;
}
namespace shutdown_how {
inline constexpr i32 read = 0, write = 1, both = 2;
}

// struct sockaddr_in and sockaddr_in6; ports and addresses in network order.
struct sockaddr_in {
    u16 family;
    u8 port[2];
    u8 address[4];
    u8 zero[8];
};
static_assert(sizeof(sockaddr_in) == 16);

struct sockaddr_in6 {
    u16 family;
    u8 port[2];
    u32 flow;
    u8 address[16];
    u32 scope;
};
static_assert(sizeof(sockaddr_in6) == 28);

}  // namespace kiln
