#include "net/show.hh"

#include <algorithm>

#include "net/stack.hh"
#include "net/tcp_socket.hh"
#include "net/udp.hh"

namespace kiln::net {
namespace {

// Text at the right of its column.
void put_right(text_sink& to, std::string_view text, usize width) {
    for (usize i = text.size(); i < width; ++i) {
        to.put(" ");
    }
    to.put(text);
}

// Addresses are shown as words in memory order, ports as numbers.
void put_endpoint(text_sink& to, const endpoint& shown, bool v6) {
    if (v6) {
        for (usize i = 0; i < 4; ++i) {
            format(to, "{:08x}", load<u32>(shown.address.bytes + 4 * i));
        }
    } else {
        format(to, "{:08x}", load<u32>(shown.address.bytes + 12));
    }
    format(to, ":{:04x}", u32{shown.port});
}

void put_socket(text_sink& to, u32 slot, const endpoint& local, const endpoint& peer, bool v6,
                u8 state, u32 unsent, u32 unread) {
    format(to, "{:4}: ", slot);
    put_endpoint(to, local, v6);
    to.put(" ");
    put_endpoint(to, peer, v6);
    format(to, " {:02x} {:08x}:{:08x} 00:00000000 00000000     0        0 0 1 0000000000000000\n",
           u32{state}, unsent, unread);
}

constexpr std::string_view socket_heading =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

struct shown_socket {
    endpoint local;
    endpoint peer;
    u8 state;
    u32 unsent;
    u32 unread;
};

// Copies what `describe` says of each entry, so that the table's lock is not held while text is made.
template <class Describe>
void show_table(port_table& table, text_sink& to, bool v6, Describe describe) {
    to.put(socket_heading);
    usize count = 0;
    table.for_each([&](port_binding&) { ++count; });
    vector<shown_socket> shown;
    if (!shown.reserve(count + 16).ok()) {
        return;
    }
    table.for_each([&](port_binding& entry) {
        if (entry.v6 == v6 && shown.size() < shown.capacity()) {
            static_cast<void>(shown.push_back(describe(entry)));
        }
    });
    for (usize i = 0; i < shown.size(); ++i) {
        const shown_socket& each = shown[i];
        put_socket(to, static_cast<u32>(i), each.local, each.peer, v6, each.state, each.unsent,
                   each.unread);
    }
}

void show_tcp_family(network_stack& stack, text_sink& to, bool v6) {
    show_table(stack.tcp_ports, to, v6, [](port_binding& entry) {
        auto& socket = static_cast<tcp_socket&>(entry.owner);
        return shown_socket{socket.local(), socket.peer(), static_cast<u8>(socket.state()),
                            socket.shown_send_queue(), socket.shown_receive_queue()};
    });
}

void show_tcp(network_stack& stack, text_sink& to) {
    show_tcp_family(stack, to, false);
}
void show_tcp6(network_stack& stack, text_sink& to) {
    show_tcp_family(stack, to, true);
}

void show_udp_family(network_stack& stack, text_sink& to, bool v6) {
    show_table(stack.udp_ports, to, v6, [](port_binding& entry) {
        return shown_socket{entry.owner.local(), entry.owner.peer(),
                            entry.connected ? u8{1} : u8{7}, 0, 0};
    });
}

void show_udp(network_stack& stack, text_sink& to) {
    show_udp_family(stack, to, false);
}
void show_udp6(network_stack& stack, text_sink& to) {
    show_udp_family(stack, to, true);
}

void show_devices(network_stack& stack, text_sink& to) {
    to.put("Inter-|   Receive                                                |  Transmit\n"
           " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
           "drop fifo colls carrier compressed\n");
    for (usize i = 0; i < stack.interface_count(); ++i) {
        interface& which = stack.interface_at(i);
        const device_counters c = which.counters();
        put_right(to, which.name(), 6);
        format(to, ": {:7} {:7}    0 {:4}    0     0          0         0 {:8} {:7}    0 {:4}    "
                   "0     0       0          0\n",
               c.received_bytes, c.received_packets, c.received_dropped, c.sent_bytes,
               c.sent_packets, c.sent_dropped);
    }
}

void show_routes(network_stack& stack, text_sink& to) {
    to.put("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    constexpr u32 up = 1, gateway_flag = 2;
    route_entry entries[route_table::max_entries];
    const usize count = stack.routes.snapshot(entries);
    for (usize i = 0; i < count; ++i) {
        const route_entry& entry = entries[i];
        if (!entry.destination.address.is_v4()) {
            continue;
        }
        const bool direct = entry.gateway.is_unspecified();
        const u32 mask = entry.destination.length == 0 ? 0 : ~u32{0} << (32 - entry.destination.length);
        format(to, "{}\t{:08x}\t{:08x}\t{:04x}\t0\t0\t{}\t{:08x}\t0\t0\t0\n", entry.out->name(),
               load<u32>(entry.destination.address.bytes + 12),
               direct ? 0u : load<u32>(entry.gateway.bytes + 12), direct ? up : up | gateway_flag,
               entry.metric, byteswap(mask));
    }
}

void show_v6_addresses(network_stack& stack, text_sink& to) {
    for (usize i = 0; i < stack.interface_count(); ++i) {
        interface& which = stack.interface_at(i);
        interface_address known[interface::max_addresses];
        const usize count = which.addresses(known);
        for (usize j = 0; j < count; ++j) {
            const ip_address& address = known[j].prefix.address;
            if (address.is_v4()) {
                continue;
            }
            for (u8 byte : address.bytes) {
                format(to, "{:02x}", u32{byte});
            }
            const u32 scope = address.is_loopback() ? 0x10 : address.is_link_local() ? 0x20 : 0;
            const u32 flags = known[j].tentative ? 0x40 : known[j].dynamic ? 0 : 0x80;
            format(to, " {:02x} {:02x} {:02x} {:02x} ", which.index(),
                   u32{known[j].prefix.length}, scope, flags);
            put_right(to, which.name(), 8);
            to.put("\n");
        }
    }
}

void show_neighbours(network_stack& stack, text_sink& to) {
    to.put("IP address       HW type     Flags       HW address            Mask     Device\n");
    neighbour_table::shown entries[64];
    for (usize i = 1; i < stack.interface_count(); ++i) {
        interface& which = stack.interface_at(i);
        const usize count = which.neighbours().snapshot(entries);
        for (usize j = 0; j < count; ++j) {
            if (!entries[j].address.is_v4()) {
                continue;
            }
            const bool known = entries[j].state != neighbour_state::incomplete &&
                               entries[j].state != neighbour_state::failed;
            const u8* m = entries[j].mac.bytes;
            char text[48];
            const usize length = format_address(entries[j].address, text);
            to.put({text, length});
            format(to, " 0x1 0x{:x} {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} * {}\n",
                   known ? 2u : 0u, u32{m[0]}, u32{m[1]}, u32{m[2]}, u32{m[3]}, u32{m[4]}, u32{m[5]},
                   which.name());
        }
    }
}

void show_counters(network_stack& stack, text_sink& to) {
    const stack_counters& c = stack.counters;
    format(to,
           "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails "
           "EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n"
           "Tcp: 1 200 120000 -1 {} {} {} {} {} {} {} {} {} {} 0\n",
           c.tcp_active_opens.load(), c.tcp_passive_opens.load(), c.tcp_attempt_fails.load(),
           c.tcp_resets_received.load(), c.tcp_established.load(), c.tcp_segments_received.load(),
           c.tcp_segments_sent.load(), c.tcp_retransmitted.load(), c.tcp_errors.load(),
           c.tcp_resets_sent.load());
    format(to,
           "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
           "IgnoredMulti MemErrors\nUdp: {} {} {} {} 0 0 0 0 0\n",
           c.udp_received.load(), c.udp_no_port.load(), c.udp_errors.load(), c.udp_sent.load());
}

void show_sockstat(network_stack& stack, text_sink& to) {
    format(to, "TCP: inuse {} orphan {} tw {} alloc {} mem 0\n", stack.counters.tcp_established.load(),
           stack.orphan_count.load(), stack.time_wait_count.load(),
           stack.counters.tcp_established.load());
}

constexpr proc_net_file files[] = {
    {"tcp", &show_tcp},           {"tcp6", &show_tcp6},
    {"udp", &show_udp},           {"udp6", &show_udp6},
    {"dev", &show_devices},       {"route", &show_routes},
    {"if_inet6", &show_v6_addresses}, {"arp", &show_neighbours},
    {"snmp", &show_counters},     {"sockstat", &show_sockstat},
};

}  // namespace

std::span<const proc_net_file> proc_net_files() {
    return files;
}

const proc_net_file* find_proc_net_file(std::string_view name) {
    const auto* found = std::find_if(std::begin(files), std::end(files),
                                     [&](const proc_net_file& each) { return each.name == name; });
    return found == std::end(files) ? nullptr : found;
}

}  // namespace kiln::net
