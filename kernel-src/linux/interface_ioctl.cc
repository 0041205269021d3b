// The ioctl commands that ask for interfaces (netdevice(7)).
#include "core/user.hh"
#include "linux/ethtool.hh"
#include "linux/socket_file.hh"
#include "net/stack.hh"

namespace kiln {
namespace {

// linux/sockios.h.
namespace command {
constexpr u32 get_name = 0x8910, get_list = 0x8912, get_flags = 0x8913, get_address = 0x8915,
              get_broadcast = 0x8919, get_mask = 0x891b, get_metric = 0x891d, get_mtu = 0x8921,
              get_mac = 0x8927, get_index = 0x8933, get_queue = 0x8942, get_peer = 0x8917,
              get_map = 0x8970, ethtool = 0x8946;
}

constexpr u32 flag_up = 1, flag_broadcast = 2, flag_loopback = 8, flag_running = 0x40,
              flag_multicast = 0x1000;

// struct ifreq.
struct interface_request {
    char name[16];
    union {
        sockaddr_in address;
        i32 number;
        u16 flags;
        struct {
            u16 family;
            u8 bytes[14];
        } hardware;
        u8 all[24];
    };
};
static_assert(sizeof(interface_request) == 40);

usize name_length(const char (&name)[16]) {
    usize length = 0;
    while (length < sizeof(name) && name[length] != '\0') {
        ++length;
    }
    return length;
}

u32 flags_of(net::interface& which) {
    return (which.is_up() ? flag_up : 0) | (which.running() ? flag_running : 0) |
           (which.is_loopback() ? flag_loopback : flag_broadcast | flag_multicast);
}

// The first IPv4 address.
bool first_address(net::interface& which, net::ip_prefix& to) {
    net::interface_address known[net::interface::max_addresses];
    const usize count = which.addresses(known);
    for (usize i = 0; i < count; ++i) {
        if (known[i].prefix.address.is_v4()) {
            to = known[i].prefix;
            return true;
        }
    }
    return false;
}

void put_v4(interface_request& to, u32 address) {
    to.address = {.family = address_family::inet};
    store_be<u32>(to.address.address, address);
}

result<void> answer(u32 wanted, net::interface& which, interface_request& to) {
    net::ip_prefix prefix{};
    const bool has_address = first_address(which, prefix);
    const u32 mask = prefix.length == 0 ? 0 : ~u32{0} << (32 - prefix.length);
    __builtin_memset(to.all, 0, sizeof(to.all));
    switch (wanted) {
        case command::get_flags:
            to.flags = static_cast<u16>(flags_of(which));
            return {};
        case command::get_index:
            to.number = static_cast<i32>(which.index());
            return {};
        case command::get_mtu:
            to.number = static_cast<i32>(which.mtu());
            return {};
        case command::get_metric:
        case command::get_map:  // no memory, no ports, no line of interrupts
            return {};
        case command::get_queue:
            to.number = 1000;
            return {};
        case command::get_mac:
            to.hardware.family = which.is_loopback() ? 772 : 1;
            __builtin_memcpy(to.hardware.bytes, which.mac().bytes, 6);
            return {};
        default:
            break;
    }
    if (!has_address) {
        return err::addrnotavail;
    }
    if (wanted == command::get_address || wanted == command::get_peer) {
        put_v4(to, prefix.address.to_v4());
    } else if (wanted == command::get_mask) {
        put_v4(to, mask);
    } else {
        put_v4(to, which.is_loopback() ? 0 : prefix.address.to_v4() | ~mask);
    }
    return {};
}

// struct ifconf: the interfaces that have an IPv4 address.
result<i64> list_interfaces(u64 argument) {
    const user_ptr<i32> size(argument);
    const i32 room = TRY(size.read());
    const u64 to = TRY(user_ptr<u64>(argument + 8).read());
    net::network_stack& stack = net::the_network();
    i32 used = 0;
    for (usize i = 0; i < stack.interface_count(); ++i) {
        net::interface& which = stack.interface_at(i);
        net::ip_prefix prefix{};
        if (!first_address(which, prefix)) {
            continue;
        }
        const i32 entry_size = sizeof(interface_request);
        if (to != 0) {
            if (used + entry_size > room) {
                break;
            }
            interface_request entry{};
            __builtin_memcpy(entry.name, which.name().data(), which.name().size());
            put_v4(entry, prefix.address.to_v4());
            TRY(copy_to_user(to + static_cast<u64>(used), &entry, sizeof(entry)));
        }
        used += entry_size;
    }
    TRY(size.write(used));
    return i64{0};
}

}  // namespace

result<i64> interface_ioctl(u32 wanted, u64 argument) {
    using namespace command;
    if (wanted == get_list) {
        return list_interfaces(argument);
    }
    const bool known = wanted == get_name || wanted == get_flags || wanted == get_address ||
                       wanted == get_broadcast || wanted == get_mask || wanted == get_metric ||
                       wanted == get_mtu || wanted == get_mac || wanted == get_index ||
                       wanted == get_queue || wanted == get_peer || wanted == get_map ||
                       wanted == ethtool;
    if (!known) {
        return err::notty;
    }
    const user_ptr<interface_request> user(argument);
    interface_request request = TRY(user.read());
    net::network_stack& stack = net::the_network();
    if (wanted == get_name) {
        net::interface* which = stack.interface_by_index(static_cast<u32>(request.number));
        if (which == nullptr) {
            return err::nodev;
        }
        __builtin_memset(request.name, 0, sizeof(request.name));
        __builtin_memcpy(request.name, which->name().data(), which->name().size());
        TRY(user.write(request));
        return i64{0};
    }
    const std::string_view name(request.name, name_length(request.name));
    net::interface* which = stack.interface_by_name(name);
    if (which == nullptr) {
        return err::nodev;
    }
    if (wanted == ethtool) {
        return ethtool_ioctl(*which, load<u64>(request.all));
    }
    TRY(answer(wanted, *which, request));
    TRY(user.write(request));
    return i64{0};
}

}  // namespace kiln
