#include "net/socket_factory.hh"

#include "net/raw.hh"
#include "net/tcp_socket.hh"
#include "net/udp.hh"
#include "net/unix_socket.hh"

namespace kiln::net {

result<ref<socket>> make_inet_socket(network_stack& stack, u16 family, i32 type, i32 protocol) {
    if (type == socket_type::stream && (protocol == 0 || protocol == ip_protocol::tcp)) {
        return ref<socket>(TRY(make_ref<tcp_socket>(stack, family)));
    }
    if (type == socket_type::datagram && (protocol == 0 || protocol == ip_protocol::udp)) {
        return ref<socket>(TRY(make_ref<udp_socket>(stack, family)));
    }
    if (protocol < 0 || protocol > 262) {
        return err::inval;
    }
    if (type == socket_type::raw && family == address_family::inet) {
        if (protocol == 0 || protocol > 255) {
            return err::protonosupport;
        }
        return ref<socket>(TRY(make_ref<raw_socket>(stack, static_cast<u16>(protocol))));
    }
    const bool known_type = type == socket_type::stream || type == socket_type::datagram;
    return known_type ? err::protonosupport : err::socktnosupport;
}

result<ref<socket>> make_unix_socket(i32 type, i32 protocol) {
    if (protocol != 0 && protocol != address_family::local) {
        return err::protonosupport;
    }
    // Linux takes raw for datagrams here.
    const i32 kind = type == socket_type::raw ? i32{socket_type::datagram} : type;
    if (kind != socket_type::stream && kind != socket_type::datagram &&
        kind != socket_type::sequential) {
        return err::socktnosupport;
    }
    return ref<socket>(TRY(make_ref<unix_socket>(static_cast<u16>(kind))));
}

}  // namespace kiln::net
