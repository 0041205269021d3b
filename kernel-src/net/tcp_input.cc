// Segments that arrive: finding whom they are for, and RFC 9293 3.10.7 with RFC 5961's checks.
#include <algorithm>

#include "net/checksum.hh"
#include "net/stack.hh"
#include "net/tcp_listener.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

constexpr u64 timestamp_lifetime = 24ull * 86400 * ns_per_s;  // RFC 7323, 5.5
constexpr u64 time_wait_length = 60 * ns_per_s;
constexpr u32 most_time_wait = 4096;
constexpr usize small_payload = 512;
constexpr u64 delayed_ack = 40 * ns_per_ms;

void give(network_stack& stack, flow& to, packet_ptr packet) {
    const auto* header = header_at<tcp_header>(packet->data());
    const bool news = packet->size() > header->header_size() ||
                      (header->flags & (tcp_header::fin | tcp_header::rst)) != 0;
    if (!to.push(packet)) {
        stack.counters.channel_drops.fetch_add(1, std::memory_order_relaxed);
    }
    stack.request_attention(to, news);
}

}  // namespace

void tcp_input(network_stack& stack, packet_ptr packet) {
    stack.counters.tcp_segments_received.fetch_add(1, std::memory_order_relaxed);
    if (packet->is_broadcast || !packet->linearise(sizeof(tcp_header))) {
        return;
    }
    const usize header_size = header_at<tcp_header>(packet->data())->header_size();
    if (header_size < sizeof(tcp_header) || !packet->linearise(header_size)) {
        return;
    }
    const auto* header = header_at<tcp_header>(packet->data());
    const flow_key key{{packet_destination(*packet), header->destination, packet->from->index()},
                       {packet_source(*packet), header->source, packet->from->index()}};
    if (key.local.address.is_multicast() || key.remote.address.is_unspecified()) {
        return;
    }
    if (auto found = stack.tcp_flows.find(key)) {
        give(stack, *found, std::move(packet));
        return;
    }
    const u32 hash = hash_flow(key, stack.secret(1));
    if (auto found = stack.tcp_ports.find_receiver(key.local, key.remote, hash, 0)) {
        give(stack, static_cast<tcp_socket&>(*found), std::move(packet));
        return;
    }
    tcp_segment segment;
    if (parse_segment(std::move(packet), segment)) {
        send_reset_for(stack, segment);
    }
}

void tcp_socket::on_attention(packet_queue& arrived, bool due) {
    while (packet_ptr packet = arrived.pop_front()) {
        if (_state == tcp_state::listen) {
            listener_input(std::move(packet));
            continue;
        }
        tcp_segment segment;
        if (!parse_segment(std::move(packet), segment)) {
            _net.counters.tcp_errors.fetch_add(1, std::memory_order_relaxed);
            continue;
        }
        segment_input(segment);
    }
    if (due) {
        run_timers();
    }
    settle();
}

// Handshakes and connection set-up are the stack's own business.
bool tcp_socket::call_users() {
    const tcp_state state = _state;
    const bool theirs = state == tcp_state::established || state == tcp_state::close_wait ||
                        state == tcp_state::fin_wait1 || state == tcp_state::fin_wait2;
    if (!theirs || _channel.half_full() || !_queue.has_waiters()) {
        return false;
    }
    _queue.wake_all(poll_event::unseen);
    return true;
}

void tcp_socket::settle() {
    output();
    schedule();
    if (_wake != 0) {
        _queue.wake(std::exchange(_wake, 0));
    }
}

void tcp_socket::after_unlock() {
    if (_drop_table_reference.exchange(false)) {
        drop_reference();
    }
}

void tcp_socket::segment_input(tcp_segment& segment) {
    ++_segments_in;
    if (_state == tcp_state::closed) {
        send_reset_for(_net, segment);
        return;
    }
    if (_state == tcp_state::syn_sent) {
        syn_sent_input(segment);
        return;
    }
    if (_state == tcp_state::time_wait) {
        time_wait_input(segment);
        return;
    }
    _last_heard_at = now();
    if (!check_segment(segment)) {
        return;
    }
    if (_state == tcp_state::syn_received) {
        if (!seq_before(_snd_una, segment.acknowledgment) ||
            seq_before(_snd_nxt, segment.acknowledgment)) {
            send_reset_for(_net, segment);
            return;
        }
        update_window(segment);
        set_established();
    }
    if (!ack_input(segment)) {
        return;
    }
    if (_state == tcp_state::closed || _state == tcp_state::time_wait) {
        return;
    }
    if (segment.has(tcp_header::urg) || _urgent == urgent_state::announced) [[unlikely]] {
        urgent_input(segment);
    }
    data_input(segment);
}

// RFC 9293 3.10.7.4, first step.
bool tcp_socket::acceptable(const tcp_segment& segment) const {
    const u32 window = advertised();
    const u32 start = segment.sequence;
    const u32 length = segment.span();
    if (length == 0) {
        return window == 0 ? start == _rcv_nxt
                           : seq_at_or_before(_rcv_nxt, start) && seq_before(start, _rcv_nxt + window);
    }
    if (window == 0) {
        return start == _rcv_nxt;
    }
    const u32 last = segment.end() - 1;
    return seq_before(start, _rcv_nxt + window) && seq_at_or_before(_rcv_nxt, last);
}

// Steps one to five; false: the segment has been dealt with.
bool tcp_socket::check_segment(tcp_segment& segment) {
    const bool reset = segment.has(tcp_header::rst);
    const bool stamped = _timestamps && segment.options.has_timestamp;
    const u64 time = now();
    if (stamped && !reset && seq_before(segment.options.timestamp, _ts_recent) &&
        time - _ts_recent_at < timestamp_lifetime) {
        _ack_now = true;  // PAWS
        return false;
    }
    if (!acceptable(segment)) {
        // A probe of a closed window has its acknowledgment taken all the same.
        const bool probe = advertised() == 0 && segment.sequence == _rcv_nxt && !reset;
        if (probe && segment.has(tcp_header::ack)) {
            ack_input(segment);
        }
        if (!reset) {
            _ack_now = true;
        }
        return false;
    }
    if (reset) {
        reset_input(segment);
        return false;
    }
    if (segment.has(tcp_header::syn)) {
        if (_state == tcp_state::syn_received && segment.sequence == _irs) {
            _ack_now = false;
            send_syn();
            return false;
        }
        challenge_ack();
        return false;
    }
    if (!segment.has(tcp_header::ack)) {
        return false;
    }
    if (stamped && seq_at_or_before(segment.sequence, _last_ack_sent)) {
        _ts_recent = segment.options.timestamp;
        _ts_recent_at = time;
    }
    return true;
}

// RFC 5961, 3.2: only the exact sequence number resets.
void tcp_socket::reset_input(const tcp_segment& segment) {
    _net.counters.tcp_resets_received.fetch_add(1, std::memory_order_relaxed);
    if (segment.sequence != _rcv_nxt) {
        challenge_ack();
        return;
    }
    drop_connection(_state == tcp_state::close_wait ? err::pipe : err::connreset);
}

void tcp_socket::syn_sent_input(tcp_segment& segment) {
    const bool has_ack = segment.has(tcp_header::ack);
    if (has_ack && (!seq_before(_iss, segment.acknowledgment) ||
                    seq_before(_snd_nxt, segment.acknowledgment))) {
        send_reset_for(_net, segment);
        return;
    }
    if (segment.has(tcp_header::rst)) {
        if (has_ack) {
            drop_connection(err::connrefused);
        }
        return;
    }
    if (!segment.has(tcp_header::syn)) {
        return;
    }
    _irs = segment.sequence;
    _rcv_nxt = _copied_sequence = _last_ack_sent = segment.sequence + 1;
    _rcv_advertised = _rcv_nxt + std::min(_rcv_limit, 65535u);
    apply_syn_options(segment.options);
    _snd_window = segment.window;
    _snd_wl1 = segment.sequence;
    _snd_wl2 = segment.acknowledgment;
    _max_snd_window = _snd_window;
    if (!has_ack) {
        set_state(tcp_state::syn_received);  // both sides open
        send_syn();
        return;
    }
    _snd_una = segment.acknowledgment;
    if (_tries == 0) {
        measure(segment, now());
    }
    set_established();
    _ack_now = true;
    segment.sequence += 1;
    segment.flags &= static_cast<u8>(~tcp_header::syn);
    data_input(segment);
}

// What the peer's SYN says; what it does not say is off (RFC 7323, 1.3).
void tcp_socket::apply_syn_options(const tcp_options& options) {
    _peer_mss = options.has_mss ? std::max<u16>(options.mss, 88) : u16{536};
    _snd_scale = options.has_scale ? options.scale : u8{0};
    _rcv_scale = options.has_scale ? _rcv_scale : u8{0};
    _sack = options.sack_permitted;
    _timestamps = options.has_timestamp;
    if (_timestamps) {
        _ts_recent = options.timestamp;
        _ts_recent_at = now();
    }
}

void tcp_socket::set_established() {
    set_state(tcp_state::established);
    _was_connected = true;
    _tries = 0;
    _snd_una = seq_max(_snd_una, _iss + 1);
    _congestion.start(segment_size());
    if (_rtt.backoff() != 0) {
        _rtt.reset_back_off();
    }
    stop_timer(retransmit_timer);
    _quick_acks = 16;
    _recovery_point = _resent_edge = _loss_edge = _snd_una;
    _push_edge = _snd_una + static_cast<u32>(_queue_out.size());
    restart_keep_alive();
    if (_write_shut && !_fin_sent && _state == tcp_state::established) {
        set_state(tcp_state::fin_wait1);
    }
    wake(poll_event::out | poll_event::wrnorm);
}

void tcp_socket::data_input(tcp_segment& segment) {
    u32 start = segment.sequence;
    packet_ptr packet = std::move(segment.packet);
    const bool fin = segment.has(tcp_header::fin);
    const bool may_receive = _state == tcp_state::established || _state == tcp_state::fin_wait1 ||
                             _state == tcp_state::fin_wait2;
    if (segment.length == 0 && !fin) {
        return;
    }
    if (!may_receive) {
        _ack_now = true;  // a FIN or data sent again: the peer has not seen our acknowledgment
        return;
    }
    // Data that nobody will ever read ends the connection (RFC 9293, 3.6.1).
    if (_orphan && seq_before(_rcv_nxt, start + segment.length)) {
        send_reset();
        drop_connection(err{0});
        return;
    }
    const u32 edge = _rcv_advertised;
    if (fin && seq_at_or_before(start + segment.length, edge)) {
        _fin_known = true;
        _fin_sequence = start + segment.length;
    }
    if (seq_before(start, _rcv_nxt)) {
        const u32 known = std::min(_rcv_nxt - start, segment.length);
        _ack_now = true;
        packet->drop_front(known);
        start += known;
    }
    packet->trim(seq_before(start, edge) ? edge - start : 0);
    if (start == _rcv_nxt) {
        in_order_input(std::move(packet));
    } else if (packet->size() != 0 && seq_before(_rcv_nxt, start)) {
        out_of_order_input(std::move(packet), start);
    }
    if (_fin_known && _fin_sequence == _rcv_nxt) {
        _fin_known = false;
        fin_input();
    }
}

void tcp_socket::in_order_input(packet_ptr packet) {
    const u32 before = _rcv_nxt;
    if (packet->size() != 0) {
        queue_received(std::move(packet));
    }
    while (packet_ptr next = _reorder.take(_rcv_nxt)) {
        _ack_now = true;
        queue_received(std::move(next));
    }
    if (_rcv_nxt == before) {
        return;
    }
    wake(poll_event::in | poll_event::rdnorm);
    if (_deadlines[ack_timer] == never) {
        start_timer(ack_timer, now() + delayed_ack);
    }
}

// Told to the peer at once, and once for each segment, so that it counts duplicates.
void tcp_socket::out_of_order_input(packet_ptr packet, u32 start) {
    const usize most = 2 * static_cast<usize>(_rcv_limit) + 65536;
    if (_reorder.true_size() + _rcv_pinned < most) {
        _reorder.insert(std::move(packet), start);
    }
    send_ack();
}

void tcp_socket::queue_received(packet_ptr packet) {
    const usize size = packet->size();
    _last_payload = static_cast<u16>(std::clamp<usize>(size, _last_payload, 65535));
    _rcv_nxt += static_cast<u32>(size);
    _rcv_queued += size;
    _bytes_received += size;
    packet_buffer* tail = _received.back();
    if (size <= small_payload && tail != nullptr && tail->absorb(*packet)) {
        return;
    }
    packet->sequence = packet->true_size();
    _rcv_pinned += packet->sequence;
    _received.push_back(std::move(packet));
}

void tcp_socket::fin_input() {
    ++_rcv_nxt;
    // It may lie just beyond a window that is full.
    _rcv_advertised = seq_max(_rcv_advertised, _rcv_nxt);
    _fin_received = true;
    _ack_now = true;
    wake(poll_event::in | poll_event::rdnorm | poll_event::rdhup);
    switch (_state.load()) {
        case tcp_state::established:
            set_state(tcp_state::close_wait);
            break;
        case tcp_state::fin_wait1:
            set_state(tcp_state::closing);
            wake(poll_event::hangup);
            break;
        case tcp_state::fin_wait2:
            send_ack();
            enter_time_wait();
            break;
        default:
            break;
    }
}

void tcp_socket::set_state(tcp_state to) {
    const tcp_state was = _state;
    if ((was == tcp_state::established) != (to == tcp_state::established)) {
        _net.counters.tcp_established.fetch_add(to == tcp_state::established ? u64{1} : ~u64{0},
                                                std::memory_order_relaxed);
    }
    _state = to;
}

void tcp_socket::enter_time_wait() {
    set_state(tcp_state::time_wait);
    wake(poll_event::in | poll_event::rdhup | poll_event::hangup);
    stop_all_timers();
    _queue_out.clear();
    _reorder.clear();
    if (_net.time_wait_count.fetch_add(1, std::memory_order_relaxed) >= most_time_wait) {
        enter_closed();
        return;
    }
    start_timer(wait_timer, now() + time_wait_length);
}

// RFC 9293 3.10.7.4 and RFC 6191: a new SYN with a later timestamp or sequence opens anew.
void tcp_socket::time_wait_input(tcp_segment& segment) {
    if (segment.has(tcp_header::rst)) {
        if (segment.sequence == _rcv_nxt) {
            enter_closed();
        }
        return;
    }
    const bool later = seq_before(_rcv_nxt, segment.sequence) ||
                       (_timestamps && segment.options.has_timestamp &&
                        seq_before(_ts_recent, segment.options.timestamp));
    if (segment.has(tcp_header::syn) && !segment.has(tcp_header::ack) && later) {
        packet_ptr again = std::move(segment.packet);
        enter_closed();
        // With its header in front again it goes round once more and finds the listener.
        again->push(segment.header_size);
        tcp_input(_net, std::move(again));
        return;
    }
    if (segment.has(tcp_header::fin)) {
        start_timer(wait_timer, now() + time_wait_length);
    }
    send_ack();
}

void tcp_socket::drop_connection(err reason) {
    if (reason != err{0} && !_orphan) {
        set_error(reason);
    }
    _net.counters.tcp_attempt_fails.fetch_add(
        _state == tcp_state::syn_sent || _state == tcp_state::syn_received, std::memory_order_relaxed);
    wake(poll_event::in | poll_event::out | poll_event::error | poll_event::hangup |
         poll_event::rdhup | poll_event::rdnorm | poll_event::wrnorm);
    enter_closed();
}

void tcp_socket::enter_closed() {
    if (_state == tcp_state::time_wait) {
        _net.time_wait_count.fetch_sub(1, std::memory_order_relaxed);
    }
    set_state(tcp_state::closed);
    stop_all_timers();
    _queue_out.clear();
    _reorder.clear();
    _scoreboard.clear();
    _ack_now = false;
    if (_in_flow_table) {
        _in_flow_table = false;
        _net.tcp_flows.remove(*this);
        _drop_table_reference = true;
    }
    if (_orphan && !_orphan_counted_out) {
        _orphan_counted_out = true;
        _net.orphan_count.fetch_sub(1, std::memory_order_relaxed);
        _received.clear();
        _rcv_queued = _rcv_pinned = 0;
    }
    if (_bound && (_orphan || !_bound_port)) {
        _net.tcp_ports.unbind(_binding);
        _bound = false;
    }
}

}  // namespace kiln::net
