// kernel only: shows the network stack.
//
// /proc/net in Linux's formats, /sys/class/net as far as programs look, and /proc/net/pnp with the
// name servers, to which an image's /etc/resolv.conf may be a link. Tables are copied under their
// spin locks into rows that were allocated before; text is made after.
#include <algorithm>

#include "fs/pseudo_fs.hh"
#include "lib/vector.hh"
#include "linux/proc.hh"
#include "net/inet_socket.hh"
#include "net/interface.hh"
#include "net/stack.hh"
#include "net/tcp_socket.hh"

namespace kiln {
namespace {

using net::ip_address;

constexpr u8 listening = 10, unconnected = 7;
constexpr usize spare_rows = 64;  // for what is added between counting and copying

struct socket_row {
    net::endpoint local;
    net::endpoint remote;
    u32 send_queue = 0;
    u32 receive_queue = 0;
    u8 state = 0;
    bool v6 = false;
};

void put_upper_hex(text_sink& to, u64 value, u32 digits) {
    while (digits-- > 0) {
        to.put({&"0123456789ABCDEF"[value >> (4 * digits) & 15], 1});
    }
}

// As four-byte words in the machine's order, which is how Linux prints them.
void put_address(text_sink& to, const net::endpoint& of, bool v6) {
    for (usize at = v6 ? 0 : 12; at < 16; at += 4) {
        put_upper_hex(to, load<u32>(of.address.bytes + at), 8);
    }
    to.put(":");
    put_upper_hex(to, of.port, 4);
}

void put_row(text_sink& to, usize number, const socket_row& row) {
    format(to, "{:4}: ", number);
    put_address(to, row.local, row.v6);
    to.put(" ");
    put_address(to, row.remote, row.v6);
    to.put(" ");
    put_upper_hex(to, row.state, 2);
    to.put(" ");
    put_upper_hex(to, row.send_queue, 8);
    to.put(":");
    put_upper_hex(to, row.receive_queue, 8);
    to.put(" 00:00000000 00000000     0        0 0 1 0000000000000000\n");
}

template <class Fill>
result<vector<socket_row>> collect_rows(Fill fill) {
    vector<socket_row> rows;
    usize count = 0;
    fill([&](const socket_row&) { ++count; });
    TRY(rows.reserve(count + spare_rows));
    fill([&](const socket_row& row) {
        if (rows.size() < rows.capacity()) {
            static_cast<void>(rows.push_back(row));  // room was reserved
        }
    });
    return rows;
}

void put_rows(text_sink& to, const vector<socket_row>& rows) {
    usize number = 0;
    for (const socket_row& row : rows) {
        put_row(to, number++, row);
    }
}

socket_row row_of_binding(const net::port_binding& binding, u8 state) {
    socket_row row;
    row.local = {binding.address, binding.port};
    row.remote = binding.peer;
    row.state = state;
    row.v6 = binding.v6;
    return row;
}

template <bool V6>
result<void> show_tcp(text_sink& to, u64) {
    net::network_stack& stack = net::the_network();
    const vector<socket_row> rows = TRY(collect_rows([&](auto take) {
        stack.tcp_ports.for_each([&](const net::port_binding& binding) {
            if (binding.receiving && binding.v6 == V6) {
                take(row_of_binding(binding, listening));
            }
        });
        stack.tcp_flows.for_each([&](net::tcp_socket& flow) {
            const net::flow_key key = flow.key();
            if (key.local.address.is_v4() != V6) {
                take(socket_row{key.local, key.remote, flow.shown_send_queue(),
                                flow.shown_receive_queue(), static_cast<u8>(flow.state()), V6});
            }
        });
    }));
    to.put(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout inode\n");
    put_rows(to, rows);
    return {};
}

template <bool V6>
result<void> show_udp(text_sink& to, u64) {
    net::network_stack& stack = net::the_network();
    const vector<socket_row> rows = TRY(collect_rows([&](auto take) {
        stack.udp_ports.for_each([&](const net::port_binding& binding) {
            if (binding.v6 == V6) {
                take(row_of_binding(binding, binding.connected ? u8{1} : unconnected));
            }
        });
    }));
    to.put(
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout inode ref pointer drops\n");
    put_rows(to, rows);
    return {};
}

template <class Visit>
void each_interface(Visit visit) {
    net::network_stack& stack = net::the_network();
    for (usize i = 0; i < stack.interface_count(); ++i) {
        visit(stack.interface_at(i));
    }
}

result<void> show_devices(text_sink& to, u64) {
    to.put(
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
        "drop fifo colls carrier compressed\n");
    each_interface([&](net::interface& each) {
        const net::device_counters counts = each.counters();
        const usize length = each.name().size();
        for (usize fill = length; fill < 6; ++fill) {
            to.put(" ");
        }
        format(to, "{}: {:7} {:7}    0 {:4}    0     0          0         0 ", each.name(),
               counts.received_bytes, counts.received_packets, counts.received_dropped);
        format(to, "{:8} {:7}    0 {:4}    0     0       0          0\n", counts.sent_bytes,
               counts.sent_packets, counts.sent_dropped);
    });
    return {};
}

// Addresses, netmasks and gateways of IPv4 as words in the machine's order.
result<void> show_routes(text_sink& to, u64) {
    constexpr u32 up = 1, gateway = 2, host = 4;
    net::route_entry entries[net::route_table::max_entries];
    const usize count = net::the_network().routes.snapshot(entries);
    to.put("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    for (usize i = 0; i < count; ++i) {
        const net::route_entry& entry = entries[i];
        const bool v4 = entry.destination.address.is_v4();
        if (!v4 || entry.out == nullptr || entry.out->is_loopback()) {
            continue;
        }
        const u32 length = entry.destination.length;
        const u32 mask = length == 0 ? 0 : ~u32{0} << (32 - length);
        const u32 flags =
            up | (entry.gateway.is_unspecified() ? 0 : gateway) | (length == 32 ? host : 0);
        format(to, "{}\t", entry.out->name());
        put_upper_hex(to, byteswap(entry.destination.address.to_v4() & mask), 8);
        to.put("\t");
        put_upper_hex(to, entry.gateway.is_unspecified() ? 0 : byteswap(entry.gateway.to_v4()), 8);
        to.put("\t");
        put_upper_hex(to, flags, 4);
        format(to, "\t0\t0\t{}\t", entry.metric);
        put_upper_hex(to, byteswap(mask), 8);
        to.put("\t0\t0\t0\n");
    }
    return {};
}

void put_v6(text_sink& to, const ip_address& address) {
    for (const u8 byte : address.bytes) {
        format(to, "{:02x}", byte);
    }
}

result<void> show_addresses_v6(text_sink& to, u64) {
    each_interface([&](net::interface& each) {
        net::interface_address addresses[net::interface::max_addresses];
        const usize count = each.addresses(addresses);
        for (usize i = 0; i < count; ++i) {
            const ip_address& address = addresses[i].prefix.address;
            if (address.is_v4()) {
                continue;
            }
            constexpr u32 permanent = 0x80, is_tentative = 0x40;
            const u32 scope = address.is_loopback() ? 0x10 : address.is_link_local() ? 0x20 : 0;
            const u32 flags = (addresses[i].dynamic ? 0 : permanent) |
                              (addresses[i].tentative ? is_tentative : 0);
            put_v6(to, address);
            format(to, " {:02x} {:02x} {:02x} {:02x} {:8}\n", each.index(),
                   u32{addresses[i].prefix.length}, scope, flags, each.name());
        }
    });
    return {};
}

result<void> show_routes_v6(text_sink& to, u64) {
    net::route_entry entries[net::route_table::max_entries];
    const usize count = net::the_network().routes.snapshot(entries);
    for (usize i = 0; i < count; ++i) {
        const net::route_entry& entry = entries[i];
        if (entry.destination.address.is_v4() || entry.out == nullptr) {
            continue;
        }
        put_v6(to, entry.destination.address);
        format(to, " {:02x} ", u32{entry.destination.length});
        put_v6(to, ip_address{});
        to.put(" 00 ");
        put_v6(to, entry.gateway);
        format(to, " {:08x} 00000000 00000000 {:08x} {:8}\n", entry.metric,
               entry.gateway.is_unspecified() ? 1u : 3u, entry.out->name());
    }
    return {};
}

result<void> show_unix(text_sink& to, u64) {
    to.put("Num       RefCount Protocol Flags    Type St Inode Path\n");
    return {};
}

result<void> show_counters(text_sink& to, u64) {
    const net::stack_counters& counts = net::the_network().counters;
    to.put("Tcp: RtoAlgorithm RtoMin RtoMax MaxConn CurrEstab RetransSegs InErrs OutRsts\n");
    format(to, "Tcp: 1 200 120000 -1 {} {} {} {}\n", counts.tcp_established.load(),
           counts.tcp_retransmitted.load(), counts.tcp_errors.load(),
           counts.tcp_resets_sent.load());
    to.put("Udp: InDatagrams NoPorts InErrors OutDatagrams\n");
    format(to, "Udp: {} {} {} {}\n", counts.udp_received.load(), counts.udp_no_port.load(),
           counts.udp_errors.load(), counts.udp_sent.load());
    return {};
}

result<void> show_name_servers(text_sink& to, u64) {
    for (const ip_address& server : net::the_network().name_servers()) {
        char text[64];
        const usize length = net::format_address(server, text);
        format(to, "nameserver {}\n", std::string_view(text, length));
    }
    return {};
}

result<string> net_text(u64) {
    return string::copy("self/net");
}

constexpr pseudo_node nodes[] = {
    {.path = "net", .link = net_text},
    {.path = "*/net/tcp", .read = show_tcp<false>},
    {.path = "*/net/tcp6", .read = show_tcp<true>},
    {.path = "*/net/udp", .read = show_udp<false>},
    {.path = "*/net/udp6", .read = show_udp<true>},
    {.path = "*/net/unix", .read = show_unix},
    {.path = "*/net/dev", .read = show_devices},
    {.path = "*/net/route", .read = show_routes},
    {.path = "*/net/if_inet6", .read = show_addresses_v6},
    {.path = "*/net/ipv6_route", .read = show_routes_v6},
    {.path = "*/net/snmp", .read = show_counters},
    {.path = "*/net/pnp", .read = show_name_servers},
};

}  // namespace

result<void> add_net_views() {
    return the_proc().add(nodes);
}

}  // namespace kiln
