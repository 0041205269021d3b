// A descriptor of a socket: the file around a socket (net/socket.hh). The last reference to the file
// closes the socket.
// Context: threads.
#pragma once

#include "fs/file.hh"
#include "net/socket.hh"

namespace kiln {

class socket_file final : public file {
public:
    socket_file(ref<socket> held, u32 flags);
    ~socket_file() override;

    result<usize> read(io_vector& to, u64& position) override;
    result<usize> write(io_vector& from, u64& position) override;
    u32 poll_events() override;
    wait_queue* poll_queue() override { return &_socket->poll_queue(); }
    result<i64> ioctl(u32 command, u64 argument) override;
    result<void> status(file_status& to) override;
    result<usize> describe(std::span<char> to) override;
    socket* as_socket() override { return _socket.get(); }
    bool is_splice_source() const override { return true; }
    bool is_splice_target() const override { return true; }
    bool can_signal() const override { return true; }

private:
    ref<socket> _socket;
    u64 _inode;
};

// A new descriptor for a socket; `flags` are SOCK_NONBLOCK and SOCK_CLOEXEC. On failure the socket
// is closed.
result<i64> install_socket(ref<socket> made, u32 flags);
result<ref<file>> make_socket_file(ref<socket> made, u32 flags);

// The file of a descriptor that is a socket, and the socket. err::badf, err::notsock.
struct held_socket {
    ref<file> owner;
    socket* target = nullptr;
    socket* operator->() const { return target; }
    bool nonblocking() const { return owner->nonblocking(); }
};
result<held_socket> get_socket(int fd);

// SIGPIPE for an err::pipe, unless the flags say otherwise or the socket has no streams. `left`: bytes
// that there was no room for.
result<i64> finish_send(const held_socket& held, result<usize> outcome, usize left, u32 flags);

// The interface commands (SIOCGIF* …) of any socket. Context: threads.
result<i64> interface_ioctl(u32 command, u64 argument);

}  // namespace kiln
