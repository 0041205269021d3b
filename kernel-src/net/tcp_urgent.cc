// Urgent data of TCP (MSG_OOB; RFC 9293, 3.8.5, as BSD and Linux read it): the urgent pointer names the
// byte after the urgent one. That byte is taken out of the stream, unless SO_OOBINLINE is set, and a
// read stops before it. There is one at a time; a newer one takes its place.
//
// Guarded by the flow's lock. Context: threads.
#include "net/tcp_socket.hh"

namespace kiln::net {

// The last byte queued for sending is the urgent one.
void tcp_socket::mark_urgent() {
    _snd_urgent = _snd_una + static_cast<u32>(_queue_out.size());
    _sends_urgent = true;
}

// What the header of a segment says; 0: nothing, or the byte is too far ahead to be named.
u16 tcp_socket::urgent_pointer(u32 sequence) {
    _sends_urgent = _sends_urgent && seq_before(_snd_una, _snd_urgent);
    const u32 distance = _snd_urgent - sequence;
    return _sends_urgent && distance != 0 && distance < 0xffff ? static_cast<u16>(distance) : u16{0};
}

// Of the first byte that the program has not read.
u32 tcp_socket::read_sequence() const {
    return _rcv_nxt - (_fin_received ? 1 : 0) - static_cast<u32>(_rcv_queued);
}

// Whether the urgent byte is the next one, or the next after `peeked` bytes.
bool tcp_socket::at_urgent(usize peeked) const {
    return _urgent != urgent_state::none &&
           _urgent_sequence == read_sequence() + static_cast<u32>(peeked);
}

// Whether the first byte in the queue is no part of the stream.
bool tcp_socket::urgent_leads() const {
    return !_options.oob_inline && at_urgent() && _rcv_queued != 0;
}

// How much may be read before the urgent byte.
usize tcp_socket::readable_before_urgent(usize wanted) const {
    const u32 read = read_sequence();
    if (_urgent == urgent_state::none || !seq_before(read, _urgent_sequence)) {
        return wanted;
    }
    return std::min<usize>(wanted, _urgent_sequence - read);
}

void tcp_socket::drop_urgent_byte() {
    packet_buffer* const first = _received.front();
    first->drop_front(1);
    --_rcv_queued;
    if (first->size() == 0) {
        _rcv_pinned -= first->sequence;
        _received.pop_front();
    }
    forget_read_urgent();
}

// Once read past, it cannot be asked for any more.
void tcp_socket::forget_read_urgent() {
    if (_urgent != urgent_state::none && seq_before(_urgent_sequence, read_sequence())) {
        _urgent = urgent_state::none;
    }
}

void tcp_socket::urgent_input(const tcp_segment& segment) {
    if (segment.has(tcp_header::urg) && segment.urgent != 0) {
        announce_urgent(segment.sequence + segment.urgent - 1);
    }
    const u32 offset = _urgent_sequence - segment.sequence;
    if (_urgent != urgent_state::announced || offset >= segment.length) {
        return;
    }
    segment.packet->for_each_piece(offset, 1, [this](std::span<const std::byte> piece) {
        _urgent_byte = piece[0];
        return true;
    });
    _urgent = urgent_state::here;
    wake(poll_event::pri);
}

void tcp_socket::announce_urgent(u32 sequence) {
    const bool newer = _urgent == urgent_state::none || seq_before(_urgent_sequence, sequence);
    if (seq_before(sequence, _rcv_nxt) || !newer) {
        return;
    }
    if (urgent_leads()) {
        drop_urgent_byte();
    }
    _urgent = urgent_state::announced;
    _urgent_sequence = sequence;
}

// recv with MSG_OOB: never waits.
result<usize> tcp_socket::receive_urgent(socket_message& message, u32 flags) {
    flow_guard guard(*this);
    if (_options.oob_inline || _urgent == urgent_state::none || _urgent == urgent_state::taken) {
        return err::inval;
    }
    if (_urgent == urgent_state::here) {
        message.flags |= message_flag::oob;
        if ((flags & message_flag::peek) == 0) {
            _urgent = urgent_state::taken;
        }
        if (message.data.remaining() == 0) {
            message.flags |= message_flag::truncated;
            return usize{0};
        }
        TRY(message.data.put(&_urgent_byte, 1));
        return usize{1};
    }
    if (_state == tcp_state::closed || end_of_input()) {
        return usize{0};
    }
    return err::again;
}

result<bool> tcp_socket::at_mark() {
    flow_guard guard(*this);
    return _state == tcp_state::listen ? result<bool>(err::inval) : at_urgent();
}

}  // namespace kiln::net
