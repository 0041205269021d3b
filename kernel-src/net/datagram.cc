#include "net/datagram.hh"

#include <algorithm>

#include "net/stack.hh"

namespace kiln::net {

void datagram_socket::enqueue(packet_ptr packet) {
    {
        lock_guard guard(_queue_lock);
        const usize size = packet->true_size();
        if (_read_shut || _queued_bytes + size > 2 * usize{_options.receive_buffer}) {
            dropped();
            return;
        }
        _queued_bytes += size;
        _received.push_back(std::move(packet));
    }
    _queue.wake(poll_event::in | poll_event::rdnorm);
}

result<void> datagram_socket::way_to(const endpoint& to, const ip_address& source, route& way) {
    const u32 index = to.scope != 0                  ? to.scope
                      : to.address.is_multicast() ? _multicast_interface
                                                  : 0;
    way = TRY(_net.find_route(to.address, source, index));
    return {};
}

result<packet_ptr> datagram_socket::make_datagram(io_vector& from, usize size) {
    packet_ptr packet = TRY(packet_buffer::make());
    while (size != 0) {
        const bool small = size <= chunk::small_total - chunk::header_size;
        ref<chunk> memory = TRY(chunk::allocate(small ? chunk_size::small : chunk_size::large));
        const usize wanted = std::min(size, memory->capacity());
        const usize copied = TRY(from.take(memory->data(), wanted));
        if (copied != wanted) {
            return err::fault;
        }
        std::byte* bytes = memory->data();
        packet->append(std::move(memory), bytes, wanted);
        size -= wanted;
    }
    return packet;
}

// The next datagram, or a copy of it.
result<packet_ptr> datagram_socket::take(bool peek) {
    lock_guard guard(_queue_lock);
    if (_received.empty()) {
        return err::again;
    }
    if (peek) {
        return _received.front()->clone();
    }
    packet_ptr taken = _received.pop_front();
    _queued_bytes -= taken->true_size();
    return taken;
}

result<usize> datagram_socket::receive(socket_message& message, u32 flags) {
    if ((flags & message_flag::error_queue) != 0) {
        return err::again;
    }
    const bool peek = (flags & message_flag::peek) != 0;
    const u64 until = receive_deadline();
    for (;;) {
        if (has_error()) {
            return take_error();
        }
        auto taken = take(peek);
        if (taken.ok()) {
            packet_ptr packet = taken.take();
            const usize size = packet->size();
            const usize room = std::min(size, message.data.remaining());
            err failed{0};
            packet->for_each_piece(0, room, [&](std::span<const std::byte> piece) {
                auto put = message.data.put(piece.data(), piece.size());
                const bool whole = put.ok() && put.value() == piece.size();
                failed = whole ? err{0} : err::fault;
                return whole;
            });
            if (failed != err{0}) {
                return failed;
            }
            from_endpoint({packet_source(*packet), static_cast<u16>(packet->sequence),
                           packet->from->index()},
                          message.address);
            report_control(*packet, message);
            message.flags |= size > room ? message_flag::truncated : 0;
            return (flags & message_flag::truncated) != 0 ? size : room;
        }
        if (taken.error() != err::again) {
            return taken.error();
        }
        if (_read_shut) {
            return usize{0};
        }
        if ((flags & message_flag::dont_wait) != 0) {
            return err::again;
        }
        TRY(wait_for([this] { return poll_events() & (poll_event::in | poll_event::error); }, until,
                     _options.receive_timeout != never));
    }
}

result<void> datagram_socket::shutdown(i32 how) {
    if (how < shutdown_how::read || how > shutdown_how::both) {
        return err::inval;
    }
    const bool connected = _has_peer;
    _read_shut = _read_shut || how != shutdown_how::write;
    _write_shut = _write_shut || how != shutdown_how::read;
    _queue.wake(poll_event::in | poll_event::out | poll_event::hangup | poll_event::rdhup);
    return connected ? result<void>() : err::notconn;
}

result<usize> datagram_socket::bytes_to_read() {
    lock_guard guard(_queue_lock);
    return _received.empty() ? usize{0} : _received.front()->size();
}

u32 datagram_socket::poll_events() {
    using namespace poll_event;
    u32 events = out | wrnorm;
    events |= has_error() ? error : 0;
    {
        lock_guard guard(_queue_lock);
        events |= _received.empty() ? 0 : in | rdnorm;
    }
    events |= _read_shut ? in | rdnorm | rdhup : 0;
    events |= _read_shut && _write_shut ? hangup : 0;
    return events;
}

void datagram_socket::network_error(err reason, bool hard, u32) {
    if (!_has_peer && !_receive_error) {
        return;
    }
    if (hard || _receive_error) {
        set_error(reason);
        _queue.wake(poll_event::error);
    }
}

}  // namespace kiln::net
