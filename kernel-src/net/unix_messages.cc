// Sending and receiving on AF_UNIX sockets.
#include <algorithm>

#include "net/unix_socket.hh"

namespace kiln::net {
namespace {

constexpr usize stream_piece = 32 * KiB;
constexpr u32 most_datagrams = 512;  // net.unix.max_dgram_qlen of Debian

}  // namespace

void unix_socket::drop_messages() {
    list<unix_message, &unix_message::link> gone;
    {
        lock_guard guard(_queue_lock);
        gone.splice_back(_messages);
        _urgent = nullptr;
        _queued_bytes = 0;
        _queued_count = 0;
    }
    while (unix_message* each = gone.pop_front()) {
        delete each;
    }
}

// Whether another message may be queued here.
bool unix_socket::has_room() const {
    lock_guard guard(_queue_lock);
    if (!connection_based()) {
        return _queued_count < most_datagrams;
    }
    return _queued_bytes < _options.receive_buffer;
}

result<unique<unix_message>> unix_socket::make_message(socket_message& from, usize size) {
    auto made = TRY(make_unique<unix_message>());
    made->data = TRY(packet_buffer::make());
    made->size = size;
    for (usize done = 0; done < size;) {
        const bool small = size - done <= chunk::small_total - chunk::header_size;
        ref<chunk> memory = TRY(chunk::allocate(small ? chunk_size::small : chunk_size::large));
        const usize wanted = std::min(size - done, memory->capacity());
        const usize copied = TRY(from.data.take(memory->data(), wanted));
        if (copied != wanted) {
            return err::fault;
        }
        std::byte* bytes = memory->data();
        if (!made->data->append(std::move(memory), bytes, wanted)) {
            return err::msgsize;
        }
        done += wanted;
    }
    made->credentials = from.has_credentials ? from.credentials : own_credentials();
    made->from = _name;
    return made;
}

void unix_socket::enqueue(unique<unix_message> message, bool urgent) {
    {
        lock_guard guard(_queue_lock);
        _urgent = urgent ? message.get() : _urgent;
        _queued_bytes += message->data->size();
        ++_queued_count;
        _messages.push_back(*message.leak());
    }
    _queue.wake(poll_event::in | poll_event::rdnorm | (urgent ? poll_event::pri : 0));
}

// Waits for room with the receiver, then gives it the message.
result<void> unix_socket::send_one(unix_socket& to, unique<unix_message>& message, bool nonblocking,
                                   u64 until, bool urgent) {
    for (;;) {
        if (_write_shut || (connection_based() && to._phase == phase::closed)) {
            return err::pipe;
        }
        if (!connection_based() && (to._phase == phase::closed || to._read_shut)) {
            return to._phase == phase::closed ? err::connrefused : err::pipe;
        }
        if (to.has_room()) {
            to.enqueue(std::move(message), urgent);
            return {};
        }
        if (nonblocking) {
            return err::again;
        }
        auto waited = wait_until(
            connection_based() ? _queue : to._queue,
            [&] { return to.has_room() || _write_shut || to._phase == phase::closed; }, until);
        if (!waited.ok()) {
            if (waited.error() == err::timedout) {
                return err::again;
            }
            return _options.send_timeout != never ? err::intr : err::restart_sys;
        }
    }
}

result<usize> unix_socket::send(socket_message& message, u32 flags) {
    const bool urgent = (flags & message_flag::oob) != 0;
    if (urgent && (!is_stream() || message.data.remaining() == 0)) {
        return err::opnotsupp;
    }
    if (is_stream()) {
        return send_stream(message, flags);
    }
    return send_packet(message, flags);
}

result<usize> unix_socket::send_stream(socket_message& message, u32 flags) {
    if (message.address.size != 0) {
        return _phase == phase::connected ? err::isconn : err::opnotsupp;
    }
    ref<unix_socket> to = peer();
    if (!to) {
        return _phase == phase::connected || _write_shut ? err::pipe : err::notconn;
    }
    const bool nonblocking = (flags & message_flag::dont_wait) != 0;
    const u64 until = send_deadline();
    const usize urgent = (flags & message_flag::oob) != 0 ? 1 : 0;
    usize done = 0;
    while (message.data.remaining() > urgent) {
        if (_write_shut) {
            return done != 0 ? result<usize>(done) : err::pipe;
        }
        if (nonblocking && !to->has_room()) {
            return done != 0 ? result<usize>(done) : err::again;
        }
        const usize size = std::min(message.data.remaining() - urgent, stream_piece);
        auto made = make_message(message, size);
        if (!made.ok()) {
            return done != 0 ? result<usize>(done) : made.error();
        }
        unique<unix_message> piece = made.take();
        if (done == 0) {
            piece->files = std::move(message.files);
        }
        auto sent = send_one(*to, piece, nonblocking, until);
        if (!sent.ok()) {
            message.data.rewind(size);
            return done != 0 ? result<usize>(done) : sent.error();
        }
        done += size;
    }
    if (urgent != 0) {
        const result<void> sent = send_urgent(*to, message);
        if (!sent.ok()) {
            return done != 0 ? result<usize>(done) : sent.error();
        }
        ++done;
    }
    return done;
}

result<ref<unix_socket>> unix_socket::destination(const socket_message& message) {
    if (message.address.size != 0) {
        if (connection_based()) {
            return _phase == phase::connected ? err::isconn : err::opnotsupp;
        }
        socket_address name = message.address;
        auto found = find_named(name);
        if (found.ok() && found.value()->type() != type()) {
            return err::prototype;
        }
        return found;
    }
    ref<unix_socket> to = peer();
    if (!to) {
        if (_phase == phase::connected) {
            return connection_based() ? err::pipe : err::connrefused;
        }
        return err::notconn;
    }
    return to;
}

result<usize> unix_socket::send_packet(socket_message& message, u32 flags) {
    ref<unix_socket> to = TRY(destination(message));
    const usize size = message.data.remaining();
    if (size > _options.send_buffer) {
        return err::msgsize;
    }
    if (_write_shut) {
        return err::pipe;
    }
    unique<unix_message> made = TRY(make_message(message, size));
    made->files = std::move(message.files);
    TRY(send_one(*to, made, (flags & message_flag::dont_wait) != 0, send_deadline()));
    return size;
}

result<void> unix_socket::wait_readable(u32 flags, u64 until) {
    if ((flags & message_flag::dont_wait) != 0) {
        return err::again;
    }
    return wait_for(
        [&] {
            lock_guard guard(_queue_lock);
            return has_readable((flags & message_flag::peek) != 0) || _read_shut;
        },
        until, _options.receive_timeout != never);
}

// What comes along with the bytes of a message.
void unix_socket::report(const unix_message& from, socket_message& to, bool peek) {
    static_cast<void>(peek);
    for (const ref<file>& passed : from.files) {
        static_cast<void>(to.files.push_back(passed));
    }
    if (_options.pass_credentials) {
        to.has_credentials = true;
        to.credentials = from.credentials;
    }
    to.address = from.from;
}

// Bytes have gone to the program: a sender may have room.
void unix_socket::taken(usize bytes) {
    {
        lock_guard guard(_queue_lock);
        _queued_bytes -= bytes;
    }
    ref<unix_socket> sender = peer();
    if (sender && connection_based() && has_room()) {
        sender->_queue.wake(poll_event::out | poll_event::wrnorm);
    }
    if (!connection_based()) {
        _queue.wake(poll_event::out);
    }
}

result<usize> unix_socket::receive(socket_message& message, u32 flags) {
    if ((flags & message_flag::oob) != 0 && !is_stream()) {
        return err::opnotsupp;
    }
    if ((flags & message_flag::error_queue) != 0) {
        return err::again;
    }
    if (connection_based() && _phase != phase::connected && _phase != phase::closed) {
        return is_stream() ? err::inval : err::notconn;
    }
    if ((flags & message_flag::oob) != 0) {
        return receive_urgent(message, flags);
    }
    return is_stream() ? receive_stream(message, flags) : receive_packet(message, flags);
}

namespace {

// Copies from a packet to the program; how much of it arrived.
usize copy_out(const packet_buffer& from, usize offset, usize size, io_vector& to) {
    usize copied = 0;
    from.for_each_piece(offset, size, [&](std::span<const std::byte> piece) {
        auto put = to.put(piece.data(), piece.size());
        copied += put.ok() ? put.value() : 0;
        return put.ok() && put.value() == piece.size();
    });
    return copied;
}

}  // namespace

// Takes it off the queue; its bytes are the caller's to count.
void unix_socket::drop_message(unix_message& gone) {
    {
        lock_guard guard(_queue_lock);
        list<unix_message, &unix_message::link>::remove(gone);
        --_queued_count;
        _urgent = _urgent == &gone ? nullptr : _urgent;
    }
    delete &gone;
}

result<usize> unix_socket::receive_stream(socket_message& message, u32 flags) {
    const bool peek = (flags & message_flag::peek) != 0;
    const bool all = (flags & message_flag::wait_all) != 0;
    const u64 until = receive_deadline();
    usize done = 0;
    lock_guard reading(_read_lock);
    unix_message* peeked = nullptr;
    while (message.data.remaining() != 0) {
        bool at_mark = false;
        unix_message* const front = next_to_read(peeked, peek, done != 0, at_mark);
        if (at_mark) {
            break;
        }
        if (front == nullptr) {
            if (done != 0 && (!all || peek || _read_shut)) {
                break;
            }
            if (_reset.exchange(false)) {
                return err::connreset;
            }
            if (_read_shut) {
                break;
            }
            _read_lock.unlock();
            auto waited = wait_readable(flags, until);
            _read_lock.lock();
            if (!waited.ok()) {
                return done != 0 ? result<usize>(done) : waited.error();
            }
            continue;
        }
        if (done != 0 && !front->files.empty()) {
            break;  // descriptors come with the first byte that they were sent with
        }
        const bool has_files = !front->files.empty();
        const usize size = std::min(front->data->size(), message.data.remaining());
        const usize copied = copy_out(*front->data, 0, size, message.data);
        if (copied == 0) {
            return done != 0 ? result<usize>(done) : err::fault;
        }
        report(*front, message, peek);
        done += copied;
        if (peek) {
            peeked = front;
        } else {
            front->files.clear();
            front->data->drop_front(copied);
            if (front->data->size() == 0) {
                drop_message(*front);
            }
            taken(copied);
        }
        if (has_files) {
            break;
        }
    }
    return done;
}

result<usize> unix_socket::receive_packet(socket_message& message, u32 flags) {
    const bool peek = (flags & message_flag::peek) != 0;
    const u64 until = receive_deadline();
    lock_guard reading(_read_lock);
    unix_message* front;
    for (;;) {
        {
            lock_guard guard(_queue_lock);
            front = _messages.front();
        }
        if (front != nullptr) {
            break;
        }
        if (_reset.exchange(false)) {
            return err::connreset;
        }
        if (_read_shut) {
            return usize{0};
        }
        _read_lock.unlock();
        auto waited = wait_readable(flags, until);
        _read_lock.lock();
        TRY(std::move(waited));
    }
    const usize whole = front->data->size();
    const usize size = std::min(whole, message.data.remaining());
    if (copy_out(*front->data, 0, size, message.data) != size) {
        return err::fault;
    }
    report(*front, message, peek);
    message.flags |= size < whole ? message_flag::truncated : 0;
    if (!peek) {
        drop_message(*front);
        taken(whole);
    }
    return (flags & message_flag::truncated) != 0 ? whole : size;
}

result<usize> unix_socket::bytes_to_read() {
    if (_phase == phase::listening) {
        return err::inval;
    }
    lock_guard guard(_queue_lock);
    if (is_stream()) {
        return _queued_bytes;
    }
    return _messages.empty() ? usize{0} : _messages.front()->data->size();
}

result<usize> unix_socket::bytes_unsent() {
    ref<unix_socket> to = peer();
    if (!to) {
        return usize{0};
    }
    lock_guard guard(to->_queue_lock);
    return to->_queued_bytes;
}

u32 unix_socket::poll_events() {
    using namespace poll_event;
    ref<unix_socket> to = peer();
    const phase state = _phase;
    u32 events = has_error() ? error : 0;
    if (state == phase::listening) {
        return events | (_ready_count != 0 ? in | rdnorm : 0);
    }
    {
        lock_guard guard(_queue_lock);
        events |= _messages.empty() ? 0 : in | rdnorm;
        events |= _urgent != nullptr ? pri : 0;
    }
    events |= _read_shut ? in | rdnorm | rdhup : 0;
    events |= _read_shut && _write_shut ? hangup : 0;
    events |= connection_based() && state == phase::unconnected ? hangup : 0;
    if (!to || to->has_room()) {
        events |= out | wrnorm;
    }
    return events;
}

}  // namespace kiln::net
