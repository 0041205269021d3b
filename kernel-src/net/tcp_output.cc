// Segments that leave.
#include <algorithm>

#include "net/checksum.hh"
#include "net/stack.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

constexpr u32 least_mss = 88;
constexpr u32 most_payload = 65535 - 60 - 60;
constexpr u32 challenges_a_second = 10;

}  // namespace

result<void> tcp_socket::find_way() {
    const u32 generation = _net.route_generation();
    if (_way_generation == generation) {
        return {};
    }
    _way = TRY(_net.find_route(_peer.address, _local.address, _peer.scope));
    _way_generation = generation;
    return {};
}

// Payload bytes of a full segment, all its usual options taken off.
u32 tcp_socket::segment_size() const {
    const u32 ip_size = _peer.address.is_v4() ? sizeof(ipv4_header) : sizeof(ipv6_header);
    u32 mtu = _path_mtu;
    if (_way.out != nullptr) {
        mtu = std::min(mtu, _way.out->mtu());
    }
    u32 size = std::min<u32>(mtu - ip_size - sizeof(tcp_header), _peer_mss);
    if (_user_mss != 0) {
        size = std::min<u32>(size, _user_mss);
    }
    return std::max(size, least_mss) - (_timestamps ? 12 : 0);
}

// How much one packet may carry: what the device cuts for us, or one segment.
u32 tcp_socket::largest_send() const {
    const u32 mss = segment_size();
    const u32 wanted = _peer.address.is_v4() ? device_feature::tso4 : device_feature::tso6;
    // The card would repeat an urgent pointer in each segment that it makes.
    if (_way.out == nullptr || (_way.out->features() & wanted) == 0 || _sends_urgent) {
        return mss;
    }
    return std::max(mss, most_payload / mss * mss);
}

tcp_options tcp_socket::current_options(bool with_sacks) {
    tcp_options options;
    if (_timestamps) {
        options.has_timestamp = true;
        options.timestamp = tcp_clock(now()) + _ts_offset;
        options.echo = _ts_recent;
    }
    if (with_sacks && _sack && !_reorder.empty()) {
        const usize room = _timestamps ? 3 : 4;
        options.sack_count = static_cast<u8>(_reorder.blocks({options.sacks, room}));
    }
    return options;
}

// RFC 9293 3.8.6.2.2: the right edge never moves back, and not by small steps forward.
u32 tcp_socket::receive_window() {
    const usize used = _rcv_queued;
    u32 limit = _rcv_limit;
    if (_window_clamp != 0) {
        limit = std::min(limit, _window_clamp);
    }
    u32 free = used >= limit ? 0 : static_cast<u32>(limit - used);
    // Small segments pin more memory than they carry.
    if (_rcv_pinned > 2 * static_cast<usize>(limit) + 65536) {
        free = 0;
    }
    free = std::min(free, 65535u << _rcv_scale);
    free = align_down(free, usize{1} << _rcv_scale);
    const u32 known = advertised();
    const u32 step = std::min<u32>(_last_payload, limit / 2);
    if (free < known + step && free < limit) {
        return known;
    }
    return std::max(free, known);
}

bool tcp_socket::transmit(packet_ptr packet, u32 sequence, u8 flags, const tcp_options& options,
                          u32 payload, bool more) {
    std::byte option_bytes[40];
    const usize option_size = write_tcp_options(options, option_bytes);
    const usize header_size = sizeof(tcp_header) + option_size;
    std::byte* bytes = packet->push(header_size);
    __builtin_memcpy(bytes + sizeof(tcp_header), option_bytes, option_size);
    auto* header = header_at<tcp_header>(bytes);
    const bool syn = (flags & tcp_header::syn) != 0;
    u32 window = 0;
    if ((flags & tcp_header::rst) == 0) {
        window = syn ? std::min(_rcv_limit, 65535u) : receive_window();
        if (!syn) {
            _rcv_advertised = _rcv_nxt + window;
            window >>= _rcv_scale;
        }
    }
    header->source = _local.port;
    header->destination = _peer.port;
    header->sequence = sequence;
    header->acknowledgment = (flags & tcp_header::ack) != 0 ? _rcv_nxt : 0;
    header->data_offset = static_cast<u8>(header_size / 4 << 4);
    const u16 urgent = (flags & tcp_header::rst) != 0 ? u16{0} : urgent_pointer(sequence);
    header->flags = static_cast<u8>(flags | (urgent != 0 ? tcp_header::urg : 0));
    header->window = static_cast<u16>(std::min(window, 65535u));
    header->urgent = urgent;
    header->checksum = checksum_fold(pseudo_header_sum(
        _local.address, _peer.address, ip_protocol::tcp, static_cast<u32>(packet->size())));
    packet->offload.checksum = true;
    packet->offload.checksum_offset = offsetof(tcp_header, checksum);
    const u32 mss = segment_size();
    if (payload > mss && !_way.local) {
        packet->offload.kind = _peer.address.is_v4() ? transmit_offload::segmentation::tcp4
                                                     : transmit_offload::segmentation::tcp6;
        packet->offload.segment_size = static_cast<u16>(mss);
        packet->offload.header_size = static_cast<u16>(header_size);
    }
    if ((flags & tcp_header::ack) != 0) {
        _last_ack_sent = _rcv_nxt;
        _ack_now = false;
        stop_timer(ack_timer);
    }
    ++_segments_out;
    _net.counters.tcp_segments_sent.fetch_add(1, std::memory_order_relaxed);
    const ip_send how{.source = _local.address,
                      .destination = _peer.address,
                      .protocol = ip_protocol::tcp,
                      .ttl = _ttl,
                      .service = _service};
    return ip_output(_net, std::move(packet), how, _way, more).ok();
}

bool tcp_socket::send_segment(u32 sequence, u32 length, u8 flags, bool again) {
    auto made = packet_buffer::make();
    if (!made.ok() || !find_way().ok()) {
        return false;
    }
    packet_ptr packet = made.take();
    const usize offset = sequence - _snd_una;
    const usize data = std::min<usize>(length, _queue_out.size() - std::min(offset, _queue_out.size()));
    const usize attached = data == 0 ? 0 : _queue_out.attach(*packet, offset, data);
    if (attached < data) {
        // Too many pieces for one packet: what fits goes now, in whole segments.
        const u32 mss = segment_size();
        length = static_cast<u32>(attached >= mss ? attached / mss * mss : attached);
        packet->trim(length);
        flags &= static_cast<u8>(~tcp_header::fin);
    }
    const u64 time = now();
    const u32 end = sequence + static_cast<u32>(packet->size()) + ((flags & tcp_header::fin) != 0);
    if (again) {
        ++_total_retransmits;
        _timed_at = 0;
        _net.counters.tcp_retransmitted.fetch_add(1, std::memory_order_relaxed);
    } else if (_timed_at == 0) {
        _timed_at = time;
        _timed_sequence = end;
    }
    _last_sent_at = time;
    const u32 payload = static_cast<u32>(packet->size());
    const bool sent = transmit(std::move(packet), sequence, flags, current_options(false), payload,
                               false);
    _snd_nxt = seq_max(_snd_nxt, end);
    if (again) {
        _resent_edge = seq_max(_resent_edge, end);
    }
    if (_deadlines[retransmit_timer] == never) {
        restart_retransmit_timer();
    }
    return sent;
}

void tcp_socket::output() {
    const tcp_state state = _state;
    if (state == tcp_state::closed || state == tcp_state::listen || state == tcp_state::syn_sent ||
        state == tcp_state::syn_received || state == tcp_state::time_wait) {
        if (_ack_now && state != tcp_state::closed && state != tcp_state::listen) {
            send_ack();
        }
        return;
    }
    const u64 time = now();
    // After a pause the window is no longer backed by acknowledgments (RFC 5681, 4.1).
    if (outstanding() == 0 && !_queue_out.empty() && time - _last_sent_at > _rtt.timeout()) {
        _congestion.restart();
    }
    while (retransmit_some()) {
    }
    while (send_new()) {
    }
    const u32 unacknowledged = _rcv_nxt - _last_ack_sent;
    if (unacknowledged != 0 && !_ack_now) {
        const bool two_segments = unacknowledged >= 2u * _last_payload;
        if (two_segments || (_quick_acks != 0 && !_interactive)) {
            _ack_now = true;
        }
    }
    if (_ack_now) {
        send_ack();
    }
}

// Sends one lost stretch again if the network has room for it.
bool tcp_socket::retransmit_some() {
    if (_recovery == recovery_state::open) {
        return false;
    }
    const u32 from = seq_max(_resent_edge, _snd_una);
    const seq_range hole = _scoreboard.next_hole(from, _loss_edge);
    if (hole.size() == 0) {
        return false;
    }
    const u32 mss = segment_size();
    const u32 in_network = pipe();
    const u32 window = _congestion.window();
    // The first one goes whatever the window says (RFC 6675, 5, step 4.3).
    if (in_network != 0 && from != _snd_una && in_network + std::min(hole.size(), mss) > window) {
        return false;
    }
    const u32 room = std::max(window > in_network ? window - in_network : 0, mss);
    u32 length = std::min({hole.size(), room, largest_send()});
    if (length > mss) {
        length = length / mss * mss;
    }
    const bool to_end = hole.start + length == _snd_nxt;
    u8 flags = tcp_header::ack | tcp_header::psh;
    if (_fin_sent && to_end) {
        flags |= tcp_header::fin;
        --length;
    }
    const u32 before = _resent_edge;
    return send_segment(hole.start, length, flags, true) && _resent_edge != before;
}

// How many of the unsent bytes may go now, in one packet; `partial`: the last segment is not full.
u32 tcp_socket::sendable(u32 room, bool& partial) const {
    const u32 mss = segment_size();
    const u32 sent = outstanding();
    const u32 unsent = static_cast<u32>(_queue_out.size()) - sent;
    const u32 window = _snd_window > sent ? _snd_window - sent : 0;
    u32 length = std::min({unsent, room, window, largest_send()});
    partial = length % mss != 0;
    if (!partial) {
        return length;
    }
    if (length > mss) {
        // Full segments first; the rest is looked at on its own.
        partial = false;
        return length / mss * mss;
    }
    const bool all = length == unsent;
    if (!all) {
        // Held back by a window: wait for more of it, unless it is large or nothing is under way.
        const bool worth = length >= _max_snd_window / 2 && length != 0 && room >= length + 1;
        return worth ? length : 0;
    }
    if (_write_shut) {
        return length;
    }
    // TCP_CORK, and MSG_MORE in the last send, hold it for 200 ms at most.
    if ((_cork || !seq_before(_snd_nxt, _push_edge)) && !_cork_expired) {
        return 0;
    }
    return sent == 0 || _no_delay ? length : 0;  // Nagle (RFC 9293, 3.7.4)
}

bool tcp_socket::send_new() {
    if (_fin_sent) {
        return false;
    }
    const u32 sent = outstanding();
    const u32 unsent = static_cast<u32>(_queue_out.size()) - sent;
    if (unsent == 0 && !_write_shut) {
        return false;
    }
    static_cast<void>(find_way());
    const u32 in_network = pipe();
    const u32 window = _congestion.window();
    const u32 room = window > in_network ? window - in_network : 0;
    bool partial = false;
    u32 length = sendable(room, partial);
    if (length == 0 && unsent != 0) {
        wait_to_send(sent, unsent);
        return false;
    }
    u8 flags = tcp_header::ack;
    if (length == unsent) {
        flags |= length != 0 ? tcp_header::psh : 0;
        if (_write_shut) {
            flags |= tcp_header::fin;
            _fin_sent = true;
        }
    }
    stop_timer(persist_timer);
    stop_timer(cork_timer);
    _cork_expired = false;
    _interactive = _interactive || seq_before(_last_ack_sent, _rcv_nxt);
    const u32 before = _snd_nxt;
    if (!send_segment(_snd_nxt, length, flags, false)) {
        _fin_sent = _fin_sent && before + length != _snd_nxt;
        if (_deadlines[retransmit_timer] == never) {
            restart_retransmit_timer();
        }
    }
    if ((flags & tcp_header::fin) != 0 && _snd_nxt != before + length + 1) {
        _fin_sent = false;  // not all found place
    }
    return _snd_nxt != before;
}

// Nothing can go now, and there may be no acknowledgment to come: a timer sees to it.
void tcp_socket::wait_to_send(u32 sent, u32 unsent) {
    const bool closed = _snd_window <= sent || _snd_window - sent < std::min(unsent, segment_size());
    if (closed) {
        if (sent == 0 && _deadlines[persist_timer] == never) {
            start_timer(persist_timer, now() + _rtt.timeout());
        }
    } else if ((_cork || !seq_before(_snd_nxt, _push_edge)) && _deadlines[cork_timer] == never) {
        start_timer(cork_timer, now() + 200 * ns_per_ms);
    }
}

void tcp_socket::send_syn() {
    auto made = packet_buffer::make();
    if (!made.ok() || !find_way().ok()) {
        return;
    }
    tcp_options options;
    const bool first = _state == tcp_state::syn_sent;
    const u32 ip_size = _peer.address.is_v4() ? sizeof(ipv4_header) : sizeof(ipv6_header);
    options.has_mss = true;
    options.mss = static_cast<u16>(std::min<u32>(_way.out->mtu() - ip_size - sizeof(tcp_header),
                                                 _user_mss != 0 ? _user_mss : 65535));
    options.sack_permitted = first || _sack;
    options.has_scale = first || _rcv_scale != 0;
    options.scale = _rcv_scale;
    options.has_timestamp = first || _timestamps;
    options.timestamp = tcp_clock(now()) + _ts_offset;
    options.echo = _ts_recent;
    const u8 flags = first ? tcp_header::syn : static_cast<u8>(tcp_header::syn | tcp_header::ack);
    _snd_nxt = _iss + 1;
    if (_tries == 0) {
        _timed_at = now();
        _timed_sequence = _snd_nxt;
    } else {
        _timed_at = 0;
    }
    transmit(made.take(), _iss, flags, options, 0, false);
    start_timer(retransmit_timer, now() + _rtt.timeout());
}

void tcp_socket::send_ack() {
    auto made = packet_buffer::make();
    if (!made.ok() || !find_way().ok()) {
        return;
    }
    if (_quick_acks != 0) {
        --_quick_acks;
    }
    transmit(made.take(), _snd_nxt, tcp_header::ack, current_options(true), 0, false);
}

void tcp_socket::send_reset() {
    auto made = packet_buffer::make();
    if (!made.ok() || !find_way().ok()) {
        return;
    }
    _net.counters.tcp_resets_sent.fetch_add(1, std::memory_order_relaxed);
    transmit(made.take(), _snd_nxt, tcp_header::rst | tcp_header::ack, tcp_options{}, 0, false);
}

// RFC 5961, 7: so many a second at most.
void tcp_socket::challenge_ack() {
    const u64 time = now();
    if (time - _challenge_at >= ns_per_s) {
        _challenge_at = time;
        _challenges = 0;
    }
    if (_challenges++ < challenges_a_second) {
        send_ack();
    }
}

// A segment that the peer must answer: below its window, or the byte just beyond a closed one.
void tcp_socket::send_probe() {
    auto made = packet_buffer::make();
    if (!made.ok() || !find_way().ok()) {
        return;
    }
    transmit(made.take(), _snd_una - 1, tcp_header::ack, current_options(false), 0, false);
}

}  // namespace kiln::net
