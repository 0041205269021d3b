// Passive opens: SYNs, handshakes, the accept queue (RFC 9293 3.10.7.2).
#include <algorithm>

#include "net/stack.hh"
#include "net/tcp_listener.hh"

namespace kiln::net {
namespace {

constexpr u8 syn_ack_tries = 5;  // net.ipv4.tcp_synack_retries
constexpr u32 most_backlog = 4096;  // net.core.somaxconn

void send_syn_ack(network_stack& stack, const syn_request& request, u32 mtu) {
    const u32 ip_size = request.key.local.address.is_v4() ? sizeof(ipv4_header) : sizeof(ipv6_header);
    bare_segment answer{.local = request.key.local,
                        .remote = request.key.remote,
                        .sequence = request.our_sequence,
                        .acknowledgment = request.their_sequence + 1,
                        .flags = tcp_header::syn | tcp_header::ack,
                        .window = request.our_window};
    answer.options.has_mss = true;
    answer.options.mss = static_cast<u16>(mtu - ip_size - sizeof(tcp_header));
    answer.options.sack_permitted = request.options.sack_permitted;
    answer.options.has_scale = request.options.has_scale;
    answer.options.scale = request.our_scale;
    answer.options.has_timestamp = request.options.has_timestamp;
    answer.options.timestamp = tcp_clock(now()) + timestamp_offset(stack, request.key);
    answer.options.echo = request.options.timestamp;
    send_bare(stack, answer);
}

u32 mtu_to(network_stack& stack, const flow_key& key) {
    auto way = stack.find_route(key.remote.address, key.local.address, key.remote.scope);
    return way.ok() ? way.value().out->mtu() : 1500;
}

}  // namespace

tcp_listener::~tcp_listener() {
    for (request_list& bucket : requests) {
        while (syn_request* left = bucket.pop_front()) {
            delete left;
        }
    }
}

syn_request* tcp_listener::find(const flow_key& key) {
    for (syn_request& request : bucket_of(key)) {
        if (request.key == key) {
            return &request;
        }
    }
    return nullptr;
}

void tcp_listener::remove(syn_request& gone) {
    request_list::remove(gone);
    --request_count;
    delete &gone;
}

result<void> tcp_socket::listen(i32 backlog) {
    flow_guard guard(*this);
    const u32 wanted = std::min(static_cast<u32>(backlog), most_backlog);
    if (_state == tcp_state::listen) {
        _listener->backlog = wanted;
        return {};
    }
    if (_state != tcp_state::closed || _was_connected) {
        return err::inval;
    }
    unique<tcp_listener> made = TRY(make_unique<tcp_listener>());
    if (!_bound) {
        TRY(bind_port({_local.address, 0}, false));
    }
    TRY(_net.tcp_ports.start_receiving(_binding));
    made->backlog = wanted;
    _listener = std::move(made);
    set_state(tcp_state::listen);
    return {};
}

// A SYN's window is not scaled. It is no larger than what the connection will offer, or the peer would
// take that for what is usual, and hold back what fills less than half of it.
u16 tcp_socket::first_offer() const {
    return static_cast<u16>(std::min(_rcv_limit, 65535u));
}

void tcp_socket::listener_input(packet_ptr packet) {
    tcp_segment segment;
    if (!parse_segment(std::move(packet), segment)) {
        return;
    }
    const u32 index = segment.packet->from->index();
    const flow_key key{{packet_destination(*segment.packet), segment.destination_port, index},
                       {packet_source(*segment.packet), segment.source_port, index}};
    // It was on its way here when its connection was made.
    if (auto found = _net.tcp_flows.find(key)) {
        segment.packet->push(segment.header_size);
        segment.packet->checksum_valid = true;
        found->push(segment.packet);
        _net.request_attention(*found, true);
        return;
    }
    syn_request* request = _listener->find(key);
    if (segment.has(tcp_header::rst)) {
        if (request != nullptr && segment.sequence == request->their_sequence + 1) {
            _listener->remove(*request);
        }
    } else if (segment.has(tcp_header::syn)) {
        if (!segment.has(tcp_header::ack)) {
            syn_input(segment, key, request);
        } else {
            send_reset_for(_net, segment);
        }
    } else if (segment.has(tcp_header::ack)) {
        handshake_input(segment, key, request);
    }
}

void tcp_socket::syn_input(const tcp_segment& segment, const flow_key& key, syn_request* request) {
    if (request != nullptr) {
        // Sent again, or a new attempt from the same port.
        if (request->their_sequence != segment.sequence) {
            _listener->remove(*request);
            syn_input(segment, key, nullptr);
            return;
        }
        send_syn_ack(_net, *request, mtu_to(_net, key));
        return;
    }
    if (_listener->ready_full()) {
        _net.counters.listen_overflows.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    syn_request fresh;
    fresh.key = key;
    fresh.their_sequence = segment.sequence;
    fresh.options = segment.options;
    fresh.window = segment.window;
    fresh.our_scale = segment.options.has_scale ? _rcv_scale : u8{0};
    fresh.our_window = first_offer();
    if (_listener->request_count >= std::max(_listener->backlog, 8u) + 1) {
        answer_with_cookie(fresh);
        return;
    }
    auto* kept = new (std::nothrow) syn_request;
    if (kept == nullptr) {
        return;
    }
    kept->key = key;
    kept->their_sequence = fresh.their_sequence;
    kept->our_sequence = initial_sequence(_net, key);
    kept->options = fresh.options;
    kept->window = fresh.window;
    kept->our_scale = fresh.our_scale;
    kept->our_window = fresh.our_window;
    kept->sent_at = now();
    kept->next_try = kept->sent_at + rtt_estimator::initial;
    _listener->bucket_of(key).push_back(*kept);
    ++_listener->request_count;
    send_syn_ack(_net, *kept, mtu_to(_net, key));
    if (_deadlines[retransmit_timer] > kept->next_try) {
        tcp_socket::start_timer(retransmit_timer, kept->next_try);
    }
}

// Nothing is kept: what must be known is in the sequence number. Options other than the MSS are lost.
void tcp_socket::answer_with_cookie(syn_request& fresh) {
    const u16 mss = fresh.options.has_mss ? fresh.options.mss : u16{536};
    fresh.options = tcp_options{};
    fresh.our_sequence = make_syn_cookie(_net, fresh.key, fresh.their_sequence, mss);
    _listener->last_cookie_at = now();
    _net.counters.syn_cookies_sent.fetch_add(1, std::memory_order_relaxed);
    send_syn_ack(_net, fresh, mtu_to(_net, fresh.key));
}

void tcp_socket::handshake_input(tcp_segment& segment, const flow_key& key, syn_request* request) {
    syn_request from_cookie;
    if (request == nullptr) {
        u16 mss = 0;
        const bool recent = _listener->last_cookie_at != 0 &&
                            now() - _listener->last_cookie_at < 180 * ns_per_s;
        if (!recent || !check_syn_cookie(_net, key, segment.sequence - 1,
                                         segment.acknowledgment - 1, mss)) {
            send_reset_for(_net, segment);
            return;
        }
        from_cookie.key = key;
        from_cookie.their_sequence = segment.sequence - 1;
        from_cookie.our_sequence = segment.acknowledgment - 1;
        from_cookie.options.has_mss = true;
        from_cookie.options.mss = mss;
        from_cookie.window = segment.window;
        from_cookie.our_window = first_offer();
    } else if (segment.acknowledgment != request->our_sequence + 1) {
        send_reset_for(_net, segment);
        return;
    } else if (seq_before(segment.sequence, request->their_sequence + 1) ||
               !seq_before(segment.sequence, request->their_sequence + 1 + request->our_window)) {
        send_syn_ack(_net, *request, mtu_to(_net, key));
        return;
    }
    if (_listener->ready_full()) {
        // As on Linux: the ACK is ignored, and the SYN-ACK sent again later.
        _net.counters.listen_overflows.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    if (request != nullptr && _defer_accept != 0 && segment.length == 0 &&
        !segment.has(tcp_header::fin) &&
        now() - request->sent_at < u64{_defer_accept} * ns_per_s) {
        request->got_ack = true;
        return;
    }
    make_child(request != nullptr ? *request : from_cookie, segment);
    if (request != nullptr) {
        _listener->remove(*request);
    }
}

// The connection is published first; then the segment that completed it goes through it like any.
void tcp_socket::make_child(const syn_request& request, tcp_segment& segment) {
    auto made = make_ref<tcp_socket>(_net, family());
    if (!made.ok()) {
        return;
    }
    ref<tcp_socket> child = made.take();
    child->adopt(request, *this);
    if (!_net.tcp_flows.insert(*child)) {
        return;
    }
    child->add_reference();  // the table's
    child->_in_flow_table = true;
    child->_binding.address = child->_local.address;
    child->_binding.port = child->_local.port;
    child->_binding.reuse_address = _options.reuse_address;
    child->_binding.reuse_port = _options.reuse_port;
    child->_bound = true;
    _net.tcp_ports.share(child->_binding);
    _net.counters.tcp_passive_opens.fetch_add(1, std::memory_order_relaxed);
    segment.packet->push(segment.header_size);
    segment.packet->checksum_valid = true;
    child->push(segment.packet);
    _net.request_attention(*child, true);
    _listener->ready.push_back(*child.leak());
    ++_listener->ready_count;
    wake(poll_event::in | poll_event::rdnorm);
}

// Takes over what the handshake has agreed on, and the listener's options, as Linux's clone does.
void tcp_socket::adopt(const syn_request& request, tcp_socket& listener) {
    _local = request.key.local;
    _peer = request.key.remote;
    _has_peer = true;
    const auto& from = listener._options;
    _options.send_buffer = from.send_buffer.load();
    _options.receive_buffer = from.receive_buffer.load();
    _options.send_timeout = from.send_timeout.load();
    _options.receive_timeout = from.receive_timeout.load();
    _options.send_buffer_locked = from.send_buffer_locked;
    _options.receive_buffer_locked = from.receive_buffer_locked;
    _options.reuse_address = from.reuse_address;
    _options.reuse_port = from.reuse_port;
    _options.keep_alive = from.keep_alive;
    _options.linger = from.linger;
    _options.linger_seconds = from.linger_seconds;
    _options.oob_inline = from.oob_inline;
    _options.priority = from.priority;
    _options.mark = from.mark;
    _no_delay = listener._no_delay;
    _cork = listener._cork;
    _keep_idle = listener._keep_idle;
    _keep_interval = listener._keep_interval;
    _keep_count = listener._keep_count;
    _user_timeout = listener._user_timeout;
    _user_mss = listener._user_mss;
    _linger2 = listener._linger2;
    _ttl = listener._ttl;
    _service = listener._service;
    _v6_only = listener._v6_only;
    _congestion.set_kind(listener._congestion.kind());
    _rcv_limit = listener._rcv_limit;
    _rcv_scale = request.our_scale;
    _iss = request.our_sequence;
    _snd_una = _iss;
    _snd_nxt = _iss + 1;
    _irs = request.their_sequence;
    _rcv_nxt = _copied_sequence = _last_ack_sent = _irs + 1;
    _rcv_advertised = _rcv_nxt + request.our_window;
    _ts_offset = timestamp_offset(_net, request.key);
    apply_syn_options(request.options);
    _snd_window = _max_snd_window = request.window;
    _snd_wl1 = _irs;
    if (request.tries == 0 && request.sent_at != 0) {
        _timed_at = request.sent_at;
        _timed_sequence = _iss + 1;
    }
    _state = tcp_state::syn_received;
    static_cast<void>(find_way());
}

void tcp_socket::listener_timers(u64 time) {
    u64 next = never;
    for (auto& bucket : _listener->requests) {
        for (syn_request& request : bucket) {
            if (request.next_try <= time) {
                if (request.tries >= syn_ack_tries) {
                    _listener->remove(request);
                    continue;
                }
                ++request.tries;
                request.next_try = time + (rtt_estimator::initial << request.tries);
                if (!request.got_ack || time - request.sent_at >= u64{_defer_accept} * ns_per_s) {
                    send_syn_ack(_net, request, mtu_to(_net, request.key));
                    _net.counters.tcp_retransmitted.fetch_add(1, std::memory_order_relaxed);
                }
            }
            next = std::min(next, request.next_try);
        }
    }
    if (next != never) {
        tcp_socket::start_timer(retransmit_timer, next);
    }
}

// Connections that nobody accepted are reset.
void tcp_socket::close_listener() {
    while (tcp_socket* waiting = _listener->ready.pop_front()) {
        ref<tcp_socket> child = ref<tcp_socket>::adopt(waiting);
        flow_guard guard(*child);
        if (child->_state != tcp_state::closed) {
            child->send_reset();
            child->drop_connection(err{0});
        }
        child->settle();
        _net.tcp_ports.unbind(child->_binding);
    }
    _listener.reset();
}

result<ref<socket>> tcp_socket::accept(bool nonblocking) {
    const u64 until = receive_deadline();
    for (;;) {
        {
            flow_guard guard(*this);
            if (_state != tcp_state::listen) {
                return err::inval;
            }
            if (tcp_socket* first = _listener->ready.pop_front()) {
                --_listener->ready_count;
                return ref<socket>(ref<tcp_socket>::adopt(first));
            }
        }
        if (nonblocking) {
            return err::again;
        }
        TRY(wait_for([this] { return (poll_events() & (poll_event::in | poll_event::hangup)) != 0; },
                     until, _options.receive_timeout != never));
    }
}

}  // namespace kiln::net
