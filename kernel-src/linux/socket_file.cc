#include "linux/socket_file.hh"

#include "core/user.hh"
#include "fs/stat.hh"
#include "lib/format.hh"
#include "linux/descriptors.hh"
#include "linux/signal.hh"

namespace kiln {
namespace {

constinit std::atomic<u64> next_inode{20000};

// asm-generic/ioctls.h and linux/sockios.h.
constexpr u32 command_bytes_to_read = 0x541b;  // FIONREAD, SIOCINQ
constexpr u32 command_bytes_unsent = 0x5411;   // TIOCOUTQ, SIOCOUTQ
constexpr u32 command_at_mark = 0x8905;        // SIOCATMARK

u32 file_flags(u32 socket_flags) {
    return open_flag::rdwr | ((socket_flags & socket_type::nonblock) != 0 ? open_flag::nonblock : 0);
}

// After a write that did not find room for everything. What was freed since then has told nobody.
void look_for_space(file& owner, socket& target, const result<usize>& outcome, usize left) {
    const bool short_of = outcome.ok() ? left != 0 : outcome.error() == err::again;
    if (!short_of || owner.signals() == nullptr) {
        return;
    }
    owner.note_no_space();
    if ((target.poll_events() & poll_event::out) != 0) {
        target.poll_queue().wake(poll_event::out | poll_event::wrnorm);
    }
}

}  // namespace

socket_file::socket_file(ref<socket> held, u32 flags)
    : file(file_flags(flags)),
      _socket(std::move(held)),
      _inode(next_inode.fetch_add(1, std::memory_order_relaxed)) {}

socket_file::~socket_file() {
    _socket->close();
}

result<usize> socket_file::read(io_vector& to, u64&) {
    if (to.remaining() == 0) {
        return usize{0};
    }
    socket_message message(to);
    return _socket->receive(message, nonblocking() ? message_flag::dont_wait : 0);
}

result<usize> socket_file::write(io_vector& from, u64&) {
    socket_message message(from);
    auto sent = _socket->send(message, nonblocking() ? message_flag::dont_wait : 0);
    look_for_space(*this, *_socket, sent, from.remaining());
    if (!sent.ok() && sent.error() == err::pipe && _socket->type() != socket_type::datagram) {
        raise_sigpipe();
    }
    return sent;
}

u32 socket_file::poll_events() {
    const u32 events = _socket->poll_events();
    if ((events & poll_event::out) == 0) {
        note_no_space();
    }
    return events;
}

result<i64> socket_file::ioctl(u32 command, u64 argument) {
    if (command == command_bytes_to_read || command == command_bytes_unsent) {
        const usize bytes = command == command_bytes_to_read ? TRY(_socket->bytes_to_read())
                                                             : TRY(_socket->bytes_unsent());
        TRY(user_ptr<i32>(argument).write(static_cast<i32>(bytes)));
        return i64{0};
    }
    if (command == command_at_mark) {
        const bool there = TRY(_socket->at_mark());
        TRY(user_ptr<i32>(argument).write(there ? 1 : 0));
        return i64{0};
    }
    return interface_ioctl(command, argument);
}

result<void> socket_file::status(file_status& to) {
    to = {};
    to.device = 8;
    to.inode_number = _inode;
    to.mode = mode_bit::socket | 0777;
    return {};
}

result<usize> socket_file::describe(std::span<char> to) {
    return format_to(to, "socket:[{}]", _inode);
}

result<ref<file>> make_socket_file(ref<socket> made, u32 flags) {
    ref<socket> kept = made;
    auto opened = make_ref<socket_file>(std::move(made), flags);
    if (!opened.ok()) {
        kept->close();
        return opened.error();
    }
    return ref<file>(opened.take());
}

result<i64> install_socket(ref<socket> made, u32 flags) {
    ref<file> opened = TRY(make_socket_file(std::move(made), flags));
    return TRY(install_descriptor(std::move(opened), (flags & socket_type::cloexec) != 0));
}

result<held_socket> get_socket(int fd) {
    held_socket found{TRY(get_file(fd))};
    found.target = found.owner->as_socket();
    if (found.target == nullptr) {
        return err::notsock;
    }
    return found;
}

result<i64> finish_send(const held_socket& held, result<usize> outcome, usize left, u32 flags) {
    look_for_space(*held.owner, *held.target, outcome, left);
    if (!outcome.ok()) {
        if (outcome.error() == err::pipe && (flags & message_flag::no_signal) == 0 &&
            held->type() != socket_type::datagram) {
            raise_sigpipe();
        }
        return outcome.error();
    }
    return static_cast<i64>(outcome.value());
}

}  // namespace kiln
