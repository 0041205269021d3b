#include "net/netlink.hh"

#include <algorithm>

#include "lib/bytes.hh"
#include "net/stack.hh"

namespace kiln::net {
namespace {

// include/uapi/linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h.
struct message_header {
    u32 size;
    u16 kind;
    u16 flags;
    u32 sequence;
    u32 port;
};
static_assert(sizeof(message_header) == 16);

struct link_message {
    u8 family;
    u8 pad;
    u16 type;
    i32 index;
    u32 flags;
    u32 change;
};

struct address_message {
    u8 family;
    u8 prefix_length;
    u8 flags;
    u8 scope;
    u32 index;
};

struct route_message {
    u8 family, destination_length, source_length, service, table, protocol, scope, type;
    u32 flags;
};

struct netlink_address {
    u16 family;
    u16 pad;
    u32 port;
    u32 groups;
};

namespace kind {
constexpr u16 error = 2, done = 3, new_link = 16, get_link = 18, new_address = 20, get_address = 22,
              new_route = 24, get_route = 26;
}
constexpr u16 flag_request = 1, flag_multi = 2, flag_ack = 4, flag_dump = 0x300;
constexpr usize packet_limit = 4096;  // of one answer, smaller than any library's buffer
constexpr u32 first_automatic_port = 2;

constinit std::atomic<u32> next_port{first_automatic_port};

}  // namespace

// Builds the messages of an answer.
class netlink_writer {
public:
    netlink_writer(u32 sequence, u32 port) : _sequence(sequence), _port(port) {}

    result<void> begin(u16 kind, u16 flags, const void* body, usize size) {
        _start = bytes.size();
        const message_header header{0, kind, flags, _sequence, _port};
        TRY(put(&header, sizeof(header)));
        return put(body, size);
    }
    result<void> attribute(u16 type, const void* value, usize size) {
        const u16 header[2] = {static_cast<u16>(size + 4), type};
        TRY(put(header, sizeof(header)));
        return put(value, size);
    }
    result<void> number(u16 type, u32 value) { return attribute(type, &value, sizeof(value)); }
    result<void> text(u16 type, std::string_view value) {
        char copy[32] = {};
        const usize size = std::min(value.size(), sizeof(copy) - 1);
        __builtin_memcpy(copy, value.data(), size);
        return attribute(type, copy, size + 1);
    }
    void end() { store<u32>(bytes.data() + _start, static_cast<u32>(bytes.size() - _start)); }

    // What is written so far, which starts anew.
    vector<std::byte> take() { return std::exchange(bytes, {}); }
    vector<std::byte> bytes;

private:
    result<void> put(const void* from, usize size) {
        const usize at = bytes.size();
        TRY(bytes.resize(at + align_up(size, 4)));
        __builtin_memcpy(bytes.data() + at, from, size);
        return {};
    }

    u32 _sequence;
    u32 _port;
    usize _start = 0;
};

namespace {

u32 link_flags(interface& which) {
    constexpr u32 up = 1, broadcast = 2, loopback = 8, running = 0x40, multicast = 0x1000,
                  lower_up = 0x10000;
    return (which.is_up() ? up : 0) | (which.running() ? running | lower_up : 0) |
           (which.is_loopback() ? loopback : broadcast | multicast);
}

result<void> put_link(netlink_writer& to, interface& which) {
    constexpr u16 address = 1, broadcast = 2, name = 3, mtu = 4, discipline = 6, statistics = 7,
                  queue_length = 13, operational_state = 16;
    const bool loop = which.is_loopback();
    const link_message body{.family = 0,
                            .pad = 0,
                            .type = static_cast<u16>(loop ? 772 : 1),
                            .index = static_cast<i32>(which.index()),
                            .flags = link_flags(which),
                            .change = 0};
    TRY(to.begin(kind::new_link, flag_multi, &body, sizeof(body)));
    TRY(to.text(name, which.name()));
    TRY(to.number(queue_length, 1000));
    const u8 state = loop ? 0 : which.running() ? 6 : 2;
    TRY(to.attribute(operational_state, &state, 1));
    TRY(to.number(mtu, which.mtu()));
    TRY(to.text(discipline, "noqueue"));
    const mac_address own = which.mac();
    const mac_address all = loop ? mac_address{} : broadcast_mac;
    TRY(to.attribute(address, own.bytes, 6));
    TRY(to.attribute(broadcast, all.bytes, 6));
    const device_counters counted = which.counters();
    u32 figures[24] = {static_cast<u32>(counted.received_packets),
                       static_cast<u32>(counted.sent_packets),
                       static_cast<u32>(counted.received_bytes),
                       static_cast<u32>(counted.sent_bytes)};
    TRY(to.attribute(statistics, figures, sizeof(figures)));
    to.end();
    return {};
}

result<void> put_address(netlink_writer& to, interface& which, const interface_address& entry) {
    constexpr u16 address = 1, local = 2, label = 3, broadcast = 4, lifetimes = 6,
                  flags_attribute = 8;
    constexpr u8 permanent = 0x80, tentative = 0x40;
    constexpr u8 scope_host = 254, scope_link = 253;
    const ip_address& ip = entry.prefix.address;
    const bool v4 = ip.is_v4();
    const u8* bytes = ip.bytes + (v4 ? 12 : 0);
    const usize size = v4 ? 4 : 16;
    const u8 flags = static_cast<u8>((entry.dynamic ? 0 : permanent) | (entry.tentative ? tentative : 0));
    const address_message body{
        .family = static_cast<u8>(v4 ? address_family::inet : address_family::inet6),
        .prefix_length = entry.prefix.length,
        .flags = flags,
        .scope = ip.is_loopback() ? scope_host : ip.is_link_local() ? scope_link : u8{0},
        .index = which.index()};
    TRY(to.begin(kind::new_address, flag_multi, &body, sizeof(body)));
    TRY(to.attribute(address, bytes, size));
    if (v4) {
        TRY(to.attribute(local, bytes, size));
        if (!which.is_loopback() && entry.prefix.length < 31) {
            u8 all[4];
            store_be<u32>(all, ip.to_v4() | 0xffffffffu >> entry.prefix.length);
            TRY(to.attribute(broadcast, all, 4));
        }
        TRY(to.text(label, which.name()));
    }
    TRY(to.number(flags_attribute, flags));
    // Preferred and valid for ever; when it came and changed is not kept.
    constexpr u32 cache_information[4] = {~u32{0}, ~u32{0}, 0, 0};
    TRY(to.attribute(lifetimes, cache_information, sizeof(cache_information)));
    to.end();
    return {};
}

result<void> put_route(netlink_writer& to, const route_entry& entry) {
    constexpr u16 destination = 1, out_interface = 4, gateway = 5, priority = 6, table = 15;
    constexpr u8 main_table = 254, boot_protocol = 3, unicast = 1, scope_link = 253;
    const bool v4 = entry.destination.address.is_v4();
    const usize skipped = v4 ? 12 : 0;
    const usize size = 16 - skipped;
    const bool direct = entry.gateway.is_unspecified();
    const route_message body{
        .family = static_cast<u8>(v4 ? address_family::inet : address_family::inet6),
        .destination_length = entry.destination.length,
        .source_length = 0,
        .service = 0,
        .table = main_table,
        .protocol = boot_protocol,
        .scope = direct ? scope_link : u8{0},
        .type = unicast,
        .flags = 0};
    TRY(to.begin(kind::new_route, flag_multi, &body, sizeof(body)));
    TRY(to.number(table, main_table));
    if (entry.destination.length != 0) {
        TRY(to.attribute(destination, entry.destination.address.bytes + skipped, size));
    }
    if (!direct) {
        TRY(to.attribute(gateway, entry.gateway.bytes + skipped, size));
    }
    TRY(to.number(out_interface, entry.out->index()));
    if (entry.metric != 0) {
        TRY(to.number(priority, entry.metric));
    }
    to.end();
    return {};
}

bool wants_family(u8 asked, const ip_address& address) {
    return asked == 0 || (asked == address_family::inet) == address.is_v4();
}

}  // namespace

netlink_socket::netlink_socket(network_stack& stack, u16 type)
    : socket(address_family::netlink, type, 0), _stack(stack) {}

netlink_socket::~netlink_socket() {
    while (answer* left = _answers.pop_front()) {
        delete left;
    }
}

void netlink_socket::assign_port() {
    if (_port == 0) {
        _port = next_port.fetch_add(1, std::memory_order_relaxed);
    }
}

result<void> netlink_socket::bind(const socket_address& address) {
    if (address.size < sizeof(netlink_address) || address.family() != address_family::netlink) {
        return err::inval;
    }
    netlink_address wanted;
    __builtin_memcpy(&wanted, address.bytes, sizeof(wanted));
    if (_port != 0 && wanted.port != 0 && wanted.port != _port) {
        return err::inval;
    }
    _port = wanted.port != 0 ? wanted.port : _port;
    _groups = wanted.groups;
    assign_port();
    return {};
}

result<void> netlink_socket::connect(const socket_address& address, bool) {
    if (address.size < sizeof(netlink_address) || address.family() != address_family::netlink) {
        return err::inval;
    }
    assign_port();
    return {};
}

result<void> netlink_socket::local_address(socket_address& to) {
    const netlink_address told{address_family::netlink, 0, _port, _groups};
    __builtin_memcpy(to.bytes, &told, sizeof(told));
    to.size = sizeof(told);
    return {};
}

result<void> netlink_socket::peer_address(socket_address& to) {
    const netlink_address told{address_family::netlink, 0, 0, 0};
    __builtin_memcpy(to.bytes, &told, sizeof(told));
    to.size = sizeof(told);
    return {};
}

result<void> netlink_socket::set_option(i32 level, i32 name, std::span<const std::byte> value) {
    if (level == socket_level::netlink) {
        TRY(option_int(value));
        return name >= 1 && name <= 12 ? result<void>() : err::noprotoopt;
    }
    return socket::set_option(level, name, value);
}

result<usize> netlink_socket::get_option(i32 level, i32 name, std::span<std::byte> value) {
    return socket::get_option(level, name, value);
}

result<void> netlink_socket::queue(netlink_writer& written) {
    auto made = TRY(make_unique<answer>());
    made->bytes = written.take();
    {
        lock_guard guard(_lock);
        _answers.push_back(*made.leak());
    }
    _queue.wake(poll_event::in | poll_event::rdnorm);
    return {};
}

// Answers of several packets: a packet is closed when the next message might not fit.
result<void> netlink_socket::dump(netlink_writer& to, u16 asked, u8 family) {
    auto close_full = [&]() -> result<void> {
        return to.bytes.size() > packet_limit - 512 ? queue(to) : result<void>();
    };
    if (asked == kind::get_route) {
        route_entry entries[route_table::max_entries];
        const usize count = _stack.routes.snapshot(entries);
        for (usize i = 0; i < count; ++i) {
            if (wants_family(family, entries[i].destination.address)) {
                TRY(put_route(to, entries[i]));
                TRY(close_full());
            }
        }
        return {};
    }
    for (usize i = 0; i < _stack.interface_count(); ++i) {
        interface& which = _stack.interface_at(i);
        if (asked == kind::get_link) {
            TRY(put_link(to, which));
            TRY(close_full());
            continue;
        }
        interface_address known[interface::max_addresses];
        const usize count = which.addresses(known);
        for (usize j = 0; j < count; ++j) {
            if (wants_family(family, known[j].prefix.address)) {
                TRY(put_address(to, which, known[j]));
                TRY(close_full());
            }
        }
    }
    return {};
}

result<void> netlink_socket::take_request(std::span<const std::byte> request) {
    message_header header;
    __builtin_memcpy(&header, request.data(), sizeof(header));
    if ((header.flags & flag_request) == 0) {
        return {};
    }
    netlink_writer answer_to(header.sequence, _port);
    const bool known = header.kind == kind::get_link || header.kind == kind::get_address ||
                       header.kind == kind::get_route;
    if (known && (header.flags & flag_dump) != 0) {
        const u8 family = request.size() > sizeof(header) ? static_cast<u8>(request[sizeof(header)]) : u8{0};
        TRY(dump(answer_to, header.kind, family));
        const i32 nothing = 0;
        TRY(answer_to.begin(kind::done, flag_multi, &nothing, sizeof(nothing)));
        answer_to.end();
        return queue(answer_to);
    }
    if (known || (header.flags & flag_ack) != 0 || header.kind >= kind::new_link) {
        struct {
            i32 error;
            message_header about;
        } body{-static_cast<i32>(known ? err::opnotsupp : err::perm), header};
        if (header.kind < kind::new_link) {
            body.error = 0;
        }
        TRY(answer_to.begin(kind::error, 0, &body, sizeof(body)));
        answer_to.end();
        return queue(answer_to);
    }
    return {};
}

result<usize> netlink_socket::send(socket_message& message, u32) {
    constexpr usize most_request = 4096;
    const usize size = message.data.remaining();
    if (size > most_request) {
        return err::msgsize;
    }
    assign_port();
    vector<std::byte> bytes;
    TRY(bytes.resize(size));
    if (TRY(message.data.take(bytes.data(), size)) != size) {
        return err::fault;
    }
    std::span<const std::byte> rest = bytes;
    while (rest.size() >= sizeof(message_header)) {
        const u32 length = load<u32>(rest.data());
        if (length < sizeof(message_header) || length > rest.size()) {
            break;
        }
        TRY(take_request(rest.first(length)));
        rest = rest.subspan(std::min<usize>(align_up(length, 4), rest.size()));
    }
    return size;
}

netlink_socket::answer* netlink_socket::front() {
    lock_guard guard(_lock);
    return _answers.front();
}

result<usize> netlink_socket::receive(socket_message& message, u32 flags) {
    const u64 until = receive_deadline();
    while (front() == nullptr) {
        if ((flags & message_flag::dont_wait) != 0) {
            return err::again;
        }
        TRY(wait_for([this] { return front() != nullptr; }, until,
                     _options.receive_timeout != never));
    }
    unique<answer> taken;
    {
        lock_guard guard(_lock);
        taken.reset(_answers.pop_front());
    }
    if (!taken) {
        return err::again;
    }
    const usize whole = taken->bytes.size();
    const usize size = std::min(whole, message.data.remaining());
    if (size != 0 && TRY(message.data.put(taken->bytes.data(), size)) != size) {
        return err::fault;
    }
    TRY(peer_address(message.address));
    message.flags |= size < whole ? message_flag::truncated : 0;
    if ((flags & message_flag::peek) != 0) {
        lock_guard guard(_lock);
        _answers.push_front(*taken.leak());
    }
    return (flags & message_flag::truncated) != 0 ? whole : size;
}

result<usize> netlink_socket::bytes_to_read() {
    lock_guard guard(_lock);
    return _answers.empty() ? usize{0} : _answers.front()->bytes.size();
}

u32 netlink_socket::poll_events() {
    using namespace poll_event;
    return out | wrnorm | (front() != nullptr ? in | rdnorm : 0);
}

}  // namespace kiln::net
