// The socket system calls but for messages (socket_message_calls.cc).
#include "linux/descriptors.hh"
#include "linux/process.hh"
#include "linux/socket_file.hh"
#include "linux/syscall.hh"
#include "net/socket_factory.hh"

namespace kiln {
namespace {

constexpr u32 type_flags = socket_type::nonblock | socket_type::cloexec;

result<void> read_address(u64 from, i32 size, socket_address& to) {
    if (size < 0 || static_cast<usize>(size) > socket_address::capacity) {
        return err::inval;
    }
    to.size = static_cast<usize>(size);
    return size == 0 ? result<void>() : copy_from_user(to.bytes, from, to.size);
}

// As much of the address as there is room for; the length is that of the whole.
result<void> write_address(u64 to, u64 size_at, const socket_address& address) {
    const user_ptr<i32> size(size_at);
    const i32 room = TRY(size.read());
    if (room < 0) {
        return err::inval;
    }
    const usize copied = static_cast<usize>(room) < address.size ? static_cast<usize>(room) : address.size;
    TRY(copy_to_user(to, address.bytes, copied));
    return size.write(static_cast<i32>(address.size));
}

result<i64> accept_on(int fd, u64 address, u64 size, i32 flags) {
    if ((static_cast<u32>(flags) & ~type_flags) != 0) {
        return err::inval;
    }
    held_socket listener = TRY(get_socket(fd));
    ref<socket> accepted = TRY(listener->accept(listener.nonblocking()));
    if (address == 0) {
        return install_socket(std::move(accepted), static_cast<u32>(flags));
    }
    // The file first, so that an error from here on closes the connection.
    socket* peer = accepted.get();
    ref<file> opened = TRY(make_socket_file(std::move(accepted), static_cast<u32>(flags)));
    socket_address from;
    if (!peer->peer_address(from).ok()) {
        return err::connaborted;
    }
    TRY(write_address(address, size, from));
    return TRY(install_descriptor(std::move(opened),
                                  (static_cast<u32>(flags) & socket_type::cloexec) != 0));
}

}  // namespace

SYSCALL(socket, i32 family, i32 type, i32 protocol) {
    const u32 bits = static_cast<u32>(type);
    if ((bits & ~(type_flags | socket_type::mask)) != 0) {
        return err::inval;
    }
    if ((bits & socket_type::mask) == socket_type::raw && family == address_family::inet &&
        !is_capable(capability::net_raw)) {
        return err::perm;
    }
    ref<socket> made = TRY(net::make_socket(family, static_cast<i32>(bits & socket_type::mask), protocol));
    return install_socket(std::move(made), bits);
}

SYSCALL(socketpair, i32 family, i32 type, i32 protocol, user_ptr<i32> to) {
    const u32 bits = static_cast<u32>(type);
    if ((bits & ~(type_flags | socket_type::mask)) != 0) {
        return err::inval;
    }
    ref<socket> first;
    ref<socket> second;
    TRY(net::make_socket_pair(family, static_cast<i32>(bits & socket_type::mask), protocol, first,
                              second));
    ref<file> first_file = TRY(make_socket_file(std::move(first), bits));
    ref<file> second_file = TRY(make_socket_file(std::move(second), bits));
    int fds[2];
    TRY(descriptors::install_pair(std::move(first_file), std::move(second_file),
                                  (bits & socket_type::cloexec) != 0, fds));
    const i32 told[2] = {fds[0], fds[1]};
    auto written = to.write_array(told);
    if (!written.ok()) {
        static_cast<void>(close_descriptor(fds[0]));
        static_cast<void>(close_descriptor(fds[1]));
        return written.error();
    }
    return i64{0};
}

SYSCALL(bind, int fd, u64 address, i32 size) {
    held_socket held = TRY(get_socket(fd));
    socket_address wanted;
    TRY(read_address(address, size, wanted));
    TRY(held->bind(wanted));
    return i64{0};
}

SYSCALL(listen, int fd, i32 backlog) {
    held_socket held = TRY(get_socket(fd));
    TRY(held->listen(backlog));
    return i64{0};
}

SYSCALL(connect, int fd, u64 address, i32 size) {
    held_socket held = TRY(get_socket(fd));
    socket_address wanted;
    TRY(read_address(address, size, wanted));
    held.owner->note_no_space();
    TRY(held->connect(wanted, held.nonblocking()));
    return i64{0};
}

SYSCALL(accept, int fd, u64 address, u64 size) {
    return accept_on(fd, address, size, 0);
}

SYSCALL(accept4, int fd, u64 address, u64 size, i32 flags) {
    return accept_on(fd, address, size, flags);
}

SYSCALL(shutdown, int fd, i32 how) {
    held_socket held = TRY(get_socket(fd));
    TRY(held->shutdown(how));
    return i64{0};
}

SYSCALL(getsockname, int fd, u64 address, u64 size) {
    held_socket held = TRY(get_socket(fd));
    socket_address name;
    TRY(held->local_address(name));
    TRY(write_address(address, size, name));
    return i64{0};
}

SYSCALL(getpeername, int fd, u64 address, u64 size) {
    held_socket held = TRY(get_socket(fd));
    socket_address name;
    TRY(held->peer_address(name));
    TRY(write_address(address, size, name));
    return i64{0};
}

SYSCALL(setsockopt, int fd, i32 level, i32 name, u64 value, i32 size) {
    constexpr usize most = 256;
    held_socket held = TRY(get_socket(fd));
    if (size < 0) {
        return err::inval;
    }
    std::byte bytes[most];
    const usize length = static_cast<usize>(size) < most ? static_cast<usize>(size) : most;
    TRY(copy_from_user(bytes, value, length));
    TRY(held->set_option(level, name, {bytes, length}));
    return i64{0};
}

SYSCALL(getsockopt, int fd, i32 level, i32 name, u64 value, user_ptr<i32> size) {
    constexpr usize most = 512;
    held_socket held = TRY(get_socket(fd));
    const i32 room = TRY(size.read());
    if (room < 0) {
        return err::inval;
    }
    std::byte bytes[most];
    const usize length = static_cast<usize>(room) < most ? static_cast<usize>(room) : most;
    const usize found = TRY(held->get_option(level, name, {bytes, length}));
    TRY(copy_to_user(value, bytes, found));
    TRY(size.write(static_cast<i32>(found)));
    return i64{0};
}

}  // namespace kiln
