#include "net/dhcp.hh"

#include <algorithm>

#include "core/entropy.hh"
#include "core/log.hh"
#include "net/checksum.hh"
#include "net/ip.hh"
#include "net/stack.hh"

namespace kiln::net {
namespace {

// RFC 2131, 2.
struct dhcp_header {
    u8 operation;
    u8 hardware;
    u8 hardware_size;
    u8 hops;
    be32 transaction;
    be16 seconds;
    be16 flags;
    be32 client;
    be32 yours;
    be32 server;
    be32 relay;
    u8 hardware_address[16];
    u8 server_name[64];
    u8 file[128];
    be32 magic;
};
static_assert(sizeof(dhcp_header) == 240);

constexpr u32 magic_cookie = 0x63825363;
constexpr u16 server_port = 67;
constexpr u16 client_port = 68;

// RFC 2132, 9.6.
namespace kind {
constexpr u8 discover = 1, offer = 2, request = 3, ack = 5, nak = 6;
}
namespace option {
constexpr u8 pad = 0, mask = 1, router = 3, name_server = 6, host_name = 12, mtu = 26,
             requested_address = 50, lease = 51, message = 53, server = 54, parameters = 55,
             max_size = 57, renew = 58, rebind = 59, client_id = 61, end = 255;
}

u8 leading_ones(u32 mask) {
    return mask == ~0u ? u8{32} : static_cast<u8>(__builtin_clz(~mask));
}

std::byte* put(std::byte* to, u8 code, std::span<const u8> value) {
    *to++ = static_cast<std::byte>(code);
    *to++ = static_cast<std::byte>(value.size());
    __builtin_memcpy(to, value.data(), value.size());
    return to + value.size();
}

std::byte* put_address(std::byte* to, u8 code, const ip_address& address) {
    return put(to, code, {address.bytes + 12, 4});
}

}  // namespace

dhcp_client::dhcp_client(interface& on, std::string_view host_name)
    : _on(on), _host_name(host_name) {}

dhcp_client::~dhcp_client() {
    _on.stack().timers.stop(_timer);
}

void dhcp_client::arm(u64 delay) {
    _on.stack().timers.start(_timer, now() + delay);
}

// RFC 2131 4.1 starts at 4 s; a virtual machine's server answers at once or not at all, so the first
// tries come faster.
u64 dhcp_client::retry_delay() {
    const u64 base = std::min<u64>(500 * ns_per_ms << std::min(_tries, 7u), 64 * ns_per_s);
    return base + random_u64() % (base / 4);
}

void dhcp_client::start() {
    {
        lock_guard guard(_lock);
        _phase = phase::selecting;
        _transaction = static_cast<u32>(random_u64());
        _tries = 0;
        _started_at = now();
    }
    send(kind::discover);
    arm(retry_delay());
}

usize dhcp_client::write_options(u8 message, std::byte* to) {
    std::byte* at = to;
    const u8 kinds[] = {message};
    at = put(at, option::message, kinds);
    u8 id[7] = {1};
    __builtin_memcpy(id + 1, _on.mac().bytes, 6);
    at = put(at, option::client_id, id);
    if (_phase == phase::requesting) {
        at = put_address(at, option::requested_address, _offer.address);
        at = put_address(at, option::server, _offer.server);
    }
    const u8 size[] = {0x05, 0xdc};
    at = put(at, option::max_size, size);
    const usize name_size = std::min<usize>(_host_name.size(), 63);
    if (name_size != 0) {
        at = put(at, option::host_name, {reinterpret_cast<const u8*>(_host_name.data()), name_size});
    }
    const u8 wanted[] = {option::mask, option::router, option::name_server, option::mtu,
                         option::lease, option::renew, option::rebind};
    at = put(at, option::parameters, wanted);
    *at++ = static_cast<std::byte>(option::end);
    return static_cast<usize>(at - to);
}

void dhcp_client::send(u8 message) {
    auto made = packet_buffer::make();
    auto memory = chunk::allocate(chunk_size::small);
    if (!made.ok() || !memory.ok()) {
        return;
    }
    packet_ptr packet = made.take();
    ref<chunk> body = memory.take();
    __builtin_memset(body->data(), 0, 600);
    auto* header = header_at<dhcp_header>(body->data());
    header->operation = 1;
    header->hardware = 1;
    header->hardware_size = 6;
    header->transaction = _transaction;
    header->seconds = static_cast<u16>((now() - _started_at) / ns_per_s);
    const bool has_address = _phase == phase::renewing || _phase == phase::rebinding;
    const ip_address source = has_address ? _leased.address : any_v4;
    if (has_address) {
        header->client = source.to_v4();
    }
    __builtin_memcpy(header->hardware_address, _on.mac().bytes, 6);
    header->magic = magic_cookie;
    const usize options = write_options(message, body->data() + sizeof(dhcp_header));
    const usize size = std::max<usize>(sizeof(dhcp_header) + options, 300);  // BOOTP's least
    std::byte* bytes = body->data();
    packet->append(std::move(body), bytes, size);
    auto* udp = header_at<udp_header>(packet->push(sizeof(udp_header)));
    udp->source = client_port;
    udp->destination = server_port;
    udp->length = static_cast<u16>(packet->size());
    const bool unicast = _phase == phase::renewing;
    const ip_address to = unicast ? _offer.server : ip_address::v4(0xffffffff);
    udp->checksum = 0;
    udp->checksum = checksum_finish(
        checksum_add(pseudo_header_sum(source, to, ip_protocol::udp, static_cast<u32>(packet->size())),
                     *packet, 0, packet->size()));
    const ip_send how{.source = source, .destination = to, .protocol = ip_protocol::udp};
    route way{.out = &_on, .next_hop = to, .source = source};
    if (unicast) {
        auto found = _on.stack().find_route(to, source);
        if (found.ok()) {
            way = found.take();
        }
    }
    static_cast<void>(ip_output(_on.stack(), std::move(packet), how, way));
}

bool dhcp_client::wants(const packet_buffer& packet) {
    return static_cast<u8>(packet.network_header[9]) == ip_protocol::udp &&
           _phase != phase::idle && _phase != phase::bound;
}

bool dhcp_client::parse(const packet_buffer& packet, u32 transaction, const mac_address& mac,
                        offer& to) {
    std::byte bytes[1024];
    const usize size = std::min(packet.size(), sizeof(bytes));
    if (size < sizeof(udp_header) + sizeof(dhcp_header)) {
        return false;
    }
    packet.copy_out(0, bytes, size);
    const auto* udp = header_at<udp_header>(bytes);
    const auto* header = header_at<dhcp_header>(bytes + sizeof(udp_header));
    if (udp->source != server_port || header->operation != 2 ||
        header->transaction != transaction || header->magic != magic_cookie ||
        __builtin_memcmp(header->hardware_address, mac.bytes, 6) != 0) {
        return false;
    }
    to.address = ip_address::v4(header->yours);
    for (usize at = sizeof(udp_header) + sizeof(dhcp_header); at < size;) {
        const u8 code = static_cast<u8>(bytes[at++]);
        if (code == option::pad) {
            continue;
        }
        if (code == option::end || at == size) {
            break;
        }
        const usize length = static_cast<usize>(bytes[at++]);
        if (at + length > size) {
            break;
        }
        const std::byte* value = bytes + at;
        at += length;
        if (code == option::message && length == 1) {
            to.kind = static_cast<u8>(value[0]);
        } else if (code == option::mtu && length == 2) {
            to.mtu = load_be<u16>(value);
        } else if (length < 4) {
            continue;
        } else if (code == option::mask) {
            to.prefix_length = leading_ones(load_be<u32>(value));
        } else if (code == option::router) {
            to.router = ip_address::v4_bytes(value);
        } else if (code == option::server) {
            to.server = ip_address::v4_bytes(value);
        } else if (code == option::lease) {
            to.lease = load_be<u32>(value);
        } else if (code == option::renew) {
            to.renew = load_be<u32>(value);
        } else if (code == option::rebind) {
            to.rebind = load_be<u32>(value);
        } else if (code == option::name_server) {
            for (usize i = 0; i + 4 <= length && to.name_server_count < 4; i += 4) {
                to.name_servers[to.name_server_count++] = ip_address::v4_bytes(value + i);
            }
        }
    }
    return to.kind != 0;
}

bool dhcp_client::input(packet_ptr& packet) {
    offer given;
    if (_phase == phase::idle || _phase == phase::bound ||
        !parse(*packet, _transaction, _on.mac(), given)) {
        return false;
    }
    if (_phase == phase::selecting) {
        if (given.kind == kind::offer && !given.address.is_unspecified()) {
            {
                lock_guard guard(_lock);
                _offer = given;
                _phase = phase::requesting;
                _tries = 0;
            }
            send(kind::request);
            arm(retry_delay());
        }
    } else if (given.kind == kind::ack) {
        accept(given);
    } else if (given.kind == kind::nak) {
        drop_lease();
        start();
    }
    return true;
}

void dhcp_client::accept(const offer& given) {
    network_stack& stack = _on.stack();
    const ip_prefix leased{given.address, given.prefix_length};
    const bool fresh = !(leased.address == _leased.address);
    if (fresh) {
        drop_lease();
    }
    {
        lock_guard guard(_lock);
        const ip_address server = given.server.is_unspecified() ? _offer.server : given.server;
        _offer = given;
        _offer.server = server;
        _leased = leased;
        _bound_at = now();
        _phase = phase::bound;
        _tries = 0;
    }
    if (given.mtu >= 576 && given.mtu <= _on.mtu()) {
        _on.set_mtu(given.mtu);
    }
    static_cast<void>(add_interface_address(_on, {.prefix = leased, .dynamic = true}));
    if (!given.router.is_unspecified()) {
        static_cast<void>(add_default_route(_on, given.router, true));
    }
    if (given.name_server_count != 0) {
        stack.set_name_servers({given.name_servers, given.name_server_count});
    }
    const u64 lease = given.lease == ~0u ? u64{1} << 31 : std::max(given.lease, 60u);
    arm((given.renew != 0 && given.renew < lease ? given.renew : lease / 2) * ns_per_s);
    if (fresh) {
        char text[48];
        const usize length = format_address(leased.address, text);
        log_info("{}: address {}/{} by DHCP", _on.name(), std::string_view(text, length),
                 leased.length);
        arp_announce(_on, leased.address);
    }
    stack.address_configured();
}

void dhcp_client::drop_lease() {
    if (!_leased.address.is_unspecified()) {
        _on.stack().routes.remove_dynamic(&_on, true);
        remove_interface_address(_on, _leased);
        _leased = {};
    }
}

void dhcp_client::timer_fired(net_timer& expired) {
    member_traits<&dhcp_client::_timer>::object(&expired)->on_timer();
}

void dhcp_client::on_timer() {
    const u64 lease = std::max(_offer.lease, 60u);
    const u64 since = (now() - _bound_at) / ns_per_s;
    ++_tries;
    switch (_phase) {
        case phase::selecting:
            send(kind::discover);
            arm(retry_delay());
            break;
        case phase::requesting:
            if (_tries > 4) {
                start();
                break;
            }
            send(kind::request);
            arm(retry_delay());
            break;
        case phase::bound:
        case phase::renewing:
        case phase::rebinding:
            if (since >= lease) {
                log_warning("{}: the DHCP lease has run out", _on.name());
                drop_lease();
                start();
                break;
            }
            _phase = since >= lease * 7 / 8 ? phase::rebinding : phase::renewing;
            send(kind::request);
            arm(std::max<u64>((lease - since) / 2, 10) * ns_per_s);
            break;
        case phase::idle:
            break;
    }
}

}  // namespace kiln::net
