// What a program does with a TCP socket.
#include <algorithm>

#include "core/entropy.hh"
#include "net/stack.hh"
#include "net/tcp_listener.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

constexpr u32 default_send_buffer = 16384;       // net.ipv4.tcp_wmem[1]
constexpr u32 default_receive_buffer = 131072;   // net.ipv4.tcp_rmem[1]
constexpr u32 first_window = 256 * KiB;
constexpr u32 most_window = 4 * MiB;
constexpr u8 window_scale = 7;
constexpr usize send_step = 128 * KiB;
constexpr u32 most_orphans = 4096;

}  // namespace

tcp_socket::tcp_socket(network_stack& stack, u16 family)
    : inet_socket(stack, family, socket_type::stream, ip_protocol::tcp), flow(stack, 1024) {
    _options.send_buffer = default_send_buffer;
    _options.receive_buffer = default_receive_buffer;
    _rcv_limit = first_window;
    _rcv_scale = window_scale;
    stop_all_timers();
}

tcp_socket::~tcp_socket() {
    _net.tcp_ports.unbind(_binding);
}

result<void> tcp_socket::bind(const socket_address& address) {
    flow_guard guard(*this);
    const endpoint wanted = TRY(to_endpoint(address));
    if (_state != tcp_state::closed) {
        return err::inval;
    }
    return bind_port(wanted, false);
}

result<void> tcp_socket::local_address(socket_address& to) {
    flow_guard guard(*this);
    return inet_socket::local_address(to);
}

result<void> tcp_socket::peer_address(socket_address& to) {
    flow_guard guard(*this);
    const tcp_state state = _state;
    if (state == tcp_state::closed || state == tcp_state::syn_sent || state == tcp_state::listen) {
        return err::notconn;
    }
    return inet_socket::peer_address(to);
}

result<void> tcp_socket::connect_start(endpoint to) {
    if (to.address.is_unspecified()) {
        to.address = is_v6() && !to.address.is_v4() && !_local.address.is_v4() ? loopback_v6
                                                                              : loopback_v4;
    }
    if (_v6_only && to.address.is_v4()) {
        return err::netunreach;
    }
    const ip_address source = _bound_address ? _local.address : ip_address{};
    _way = TRY(_net.find_route(to.address, source, to.scope));
    _way_generation = _net.route_generation();
    if (to.address.is_multicast() || _way.out->is_broadcast(to.address)) {
        return err::netunreach;
    }
    if (!_bound) {
        TRY(bind_port({_way.source, 0}, false));
        _bound_port = _bound_address = false;
    }
    _local.address = _way.source;
    _peer = to;
    _has_peer = true;
    if (!_net.tcp_flows.insert(*this)) {
        return err::addrnotavail;
    }
    _in_flow_table = true;
    add_reference();
    _iss = initial_sequence(_net, key());
    _ts_offset = timestamp_offset(_net, key());
    _snd_una = _iss;
    _snd_nxt = _iss + 1;
    _tries = 0;
    _net.counters.tcp_active_opens.fetch_add(1, std::memory_order_relaxed);
    set_state(tcp_state::syn_sent);
    send_syn();
    return {};
}

result<void> tcp_socket::connect(const socket_address& address, bool nonblocking) {
    {
        flow_guard guard(*this);
        if (address.family() == address_family::unspecified && address.size >= 2) {
            if (_state != tcp_state::closed && _state != tcp_state::listen) {
                send_reset();
                enter_closed();
                settle();
            }
            _was_connected = _connect_pending = false;
            return {};
        }
        const endpoint to = TRY(to_endpoint(address));
        const bool opening = _state == tcp_state::syn_sent || _state == tcp_state::syn_received;
        if (_connect_pending && !opening) {
            _connect_pending = false;
            if (_state == tcp_state::closed && !_was_connected) {
                const err failed = take_error();
                return failed != err{0} ? failed : err::connaborted;
            }
            return {};
        }
        if (opening && nonblocking) {
            return err::already;
        }
        if (_state != tcp_state::closed || _was_connected) {
            if (!opening) {
                return err::isconn;
            }
        } else {
            TRY(connect_start(to));
            _connect_pending = true;
            settle();
        }
    }
    return wait_connected(nonblocking);
}

result<void> tcp_socket::wait_connected(bool nonblocking) {
    if (nonblocking) {
        return err::inprogress;
    }
    auto waited = wait_for(
        [this] {
            flow_guard guard(*this);
            return _state != tcp_state::syn_sent && _state != tcp_state::syn_received;
        },
        send_deadline(), _options.send_timeout != never);
    if (!waited.ok()) {
        return waited.error() == err::again ? err::inprogress : waited.error();
    }
    flow_guard guard(*this);
    _connect_pending = false;
    if (_was_connected) {
        return {};
    }
    const err failed = take_error();
    return failed != err{0} ? failed : err::connaborted;
}

usize tcp_socket::send_space() const {
    const u32 limit = _options.send_buffer_locked
                          ? _options.send_buffer.load()
                          : std::clamp(2 * _congestion.window(), first_window, most_window);
    return _queue_out.size() >= limit ? 0 : limit - _queue_out.size();
}

// Linux: at least a third of the buffer is free.
bool tcp_socket::writable_now() const {
    if (_notsent_low_water != 0 && _queue_out.size() - outstanding() >= _notsent_low_water) {
        return false;
    }
    return send_space() >= std::max<usize>(_queue_out.size() / 2, 1);
}

// Puts bytes into the queue under the lock. err::again: the buffer is full.
result<usize> tcp_socket::send_some(socket_message& message, u32 flags, usize& done) {
    const tcp_state state = _state;
    if (has_error()) {
        return take_error();
    }
    if (state == tcp_state::syn_sent || state == tcp_state::syn_received) {
        return err::again;
    }
    if (_write_shut || (state != tcp_state::established && state != tcp_state::close_wait)) {
        return err::pipe;
    }
    const bool more = (flags & message_flag::more) != 0;
    while (message.data.remaining() != 0) {
        const usize space = std::min(send_space(), send_step);
        if (space == 0) {
            _wants_space = true;
            _push_edge = _snd_una + static_cast<u32>(_queue_out.size());
            settle();
            if (send_space() == 0) {
                return err::again;
            }
            continue;
        }
        const usize copied = TRY(_queue_out.append(message.data, space));
        done += copied;
        if ((flags & message_flag::oob) != 0 && message.data.remaining() == 0) {
            mark_urgent();
        }
        if (!more || message.data.remaining() != 0) {
            _push_edge = _snd_una + static_cast<u32>(_queue_out.size());
        }
        settle();
    }
    return done;
}

result<usize> tcp_socket::send(socket_message& message, u32 flags) {
    if ((flags & message_flag::fast_open) != 0) {
        return err::opnotsupp;
    }
    const bool nonblocking = (flags & message_flag::dont_wait) != 0;
    const u64 until = send_deadline();
    usize done = 0;
    for (;;) {
        result<usize> sent = err::again;
        {
            flow_guard guard(*this);
            sent = send_some(message, flags, done);
        }
        if (sent.ok() || sent.error() != err::again) {
            return done != 0 ? result<usize>(done) : std::move(sent);
        }
        if (nonblocking) {
            return done != 0 ? result<usize>(done) : err::again;
        }
        auto waited = wait_for(
            [this] { return (poll_events() & (poll_event::out | poll_event::error)) != 0; }, until,
            _options.send_timeout != never);
        if (!waited.ok()) {
            return done != 0 ? result<usize>(done) : waited.error();
        }
    }
}

// Moves received bytes to the program, after the `done` ones when they are only peeked at. Stops
// before an urgent byte, and steps over it when it is the first.
result<usize> tcp_socket::copy_received(io_vector& to, u32 flags, usize& done, usize wanted) {
    const bool peek = (flags & message_flag::peek) != 0;
    const bool discard = (flags & message_flag::truncated) != 0;
    usize skip = peek ? done : 0;
    if (_urgent != urgent_state::none) [[unlikely]] {
        if (!peek && done != 0 && at_urgent()) {
            return done;
        }
        if (urgent_leads()) {
            skip += peek ? 1 : 0;
            peek ? void() : drop_urgent_byte();
        } else {
            const usize before = peek ? 0 : done;
            wanted = before + readable_before_urgent(wanted - before);
        }
    }
    packet_buffer* packet = _received.front();
    while (packet != nullptr && done < wanted) {
        if (skip >= packet->size()) {
            skip -= packet->size();
            packet = packet->next;
            continue;
        }
        const usize size = std::min(packet->size() - skip, wanted - done);
        usize copied = 0;
        err failed{0};
        packet->for_each_piece(skip, size, [&](std::span<const std::byte> piece) {
            auto put = discard ? result<usize>(piece.size()) : to.put(piece.data(), piece.size());
            failed = put.ok() ? err{0} : put.error();
            copied += put.ok() ? put.value() : 0;
            return put.ok() && put.value() == piece.size();
        });
        done += copied;
        skip = 0;
        if (!peek) {
            packet->drop_front(copied);
            _rcv_queued -= copied;
            if (packet->size() == 0) {
                _rcv_pinned -= packet->sequence;
                _received.pop_front();
            }
            packet = _received.front();
        } else if (copied == size) {
            packet = packet->next;
        }
        if (copied < size) {
            return done != 0 ? result<usize>(done) : failed;
        }
    }
    forget_read_urgent();
    return done;
}

// The program has taken bytes: the window opens, and grows while it keeps pace (the peer fills half
// of it within a round trip or two).
void tcp_socket::consumed(usize size) {
    const u64 time = now();
    _tune_bytes += size;
    if (time - _tune_since > std::max(2 * _rtt.smoothed(), 10 * ns_per_ms)) {
        if (_tune_bytes > _rcv_limit / 2 && !_options.receive_buffer_locked) {
            _rcv_limit = std::min(_rcv_limit * 2, most_window);
        }
        _tune_since = time;
        _tune_bytes = 0;
    }
    const u32 known = advertised();
    if (synchronised() && !_fin_received && known < _rcv_limit / 2 &&
        receive_window() >= std::max(2 * known, 1u)) {
        _ack_now = true;
    }
}

// Why there is nothing to read; ok: end of file.
result<void> tcp_socket::why_not_readable(bool nonblocking) {
    if (has_error()) {
        return take_error();
    }
    if (end_of_input()) {
        return {};
    }
    if (_state == tcp_state::closed) {
        return _was_connected ? result<void>() : err::notconn;
    }
    static_cast<void>(nonblocking);
    return err::again;
}

result<usize> tcp_socket::receive(socket_message& message, u32 flags) {
    if ((flags & message_flag::error_queue) != 0) {
        return err::again;
    }
    if ((flags & message_flag::oob) != 0) {
        return receive_urgent(message, flags);
    }
    const bool nonblocking = (flags & message_flag::dont_wait) != 0;
    const u64 until = receive_deadline();
    const usize wanted = message.data.remaining();
    const usize target = (flags & message_flag::wait_all) != 0
                             ? wanted
                             : std::min<usize>(wanted, _options.receive_low_water);
    usize done = 0;
    for (;;) {
        {
            flow_guard guard(*this);
            if (_state == tcp_state::listen) {
                return err::notconn;
            }
            const usize before = done;
            auto copied = copy_received(message.data, flags, done, wanted);
            if (done != before && (flags & message_flag::peek) == 0) {
                consumed(done - before);
                settle();
            }
            if (!copied.ok()) {
                return copied;
            }
            const bool peek = (flags & message_flag::peek) != 0;
            if (done != 0 && (done >= target || at_urgent(peek ? done : 0))) {
                return done;
            }
            if (wanted == 0) {
                return usize{0};
            }
            if (done == 0 || has_error() || end_of_input() || _state == tcp_state::closed) {
                auto why = done != 0 ? result<void>() : why_not_readable(nonblocking);
                if (why.ok()) {
                    return done;
                }
                if (why.error() != err::again) {
                    return why.error();
                }
            }
        }
        if (nonblocking) {
            return done != 0 ? result<usize>(done) : err::again;
        }
        const usize had = (flags & message_flag::peek) != 0 ? done : 0;
        auto waited = wait_for(
            [this, had] {
                flow_guard guard(*this);
                return _rcv_queued > had || has_error() || end_of_input() ||
                       _state == tcp_state::closed;
            },
            until, _options.receive_timeout != never);
        if (!waited.ok()) {
            return done != 0 ? result<usize>(done) : waited.error();
        }
    }
}

result<usize> tcp_socket::bytes_to_read() {
    flow_guard guard(*this);
    if (_state == tcp_state::listen) {
        return err::inval;
    }
    const u32 before_urgent = _urgent_sequence - read_sequence();
    const bool cut = !_options.oob_inline && _urgent != urgent_state::none;
    return cut ? std::min<usize>(_rcv_queued, before_urgent) : _rcv_queued;
}

result<usize> tcp_socket::bytes_unsent() {
    flow_guard guard(*this);
    if (_state == tcp_state::listen) {
        return err::inval;
    }
    return _queue_out.size();
}

u32 tcp_socket::events_now() {
    using namespace poll_event;
    const tcp_state state = _state;
    u32 events = has_error() ? error : 0;
    if (state == tcp_state::listen) {
        return events | (_listener->ready.empty() ? 0 : in | rdnorm);
    }
    const bool read_end = end_of_input() || (state == tcp_state::closed && _was_connected);
    const bool write_end = _write_shut || (state == tcp_state::closed && _was_connected);
    if ((read_end && write_end) || state == tcp_state::closed) {
        events |= hangup;
    }
    if (read_end) {
        events |= in | rdnorm | rdhup;
    }
    if (state == tcp_state::syn_sent || state == tcp_state::syn_received) {
        return events;
    }
    if (_rcv_queued >= _options.receive_low_water + (urgent_leads() ? 1u : 0u)) {
        events |= in | rdnorm;
    }
    if (_urgent == urgent_state::here) {
        events |= pri;
    }
    if (write_end || writable_now()) {
        events |= out | wrnorm;
    } else {
        _wants_space = true;
    }
    return events;
}

u32 tcp_socket::poll_events() {
    flow_guard guard(*this);
    return events_now();
}

result<void> tcp_socket::shutdown(i32 how) {
    if (how < shutdown_how::read || how > shutdown_how::both) {
        return err::inval;
    }
    const bool reading = how != shutdown_how::write;
    const bool writing = how != shutdown_how::read;
    flow_guard guard(*this);
    switch (_state.load()) {
        case tcp_state::closed:
            return err::notconn;
        case tcp_state::listen:
            if (reading) {
                close_listener();
                set_state(tcp_state::closed);
                _net.tcp_ports.unbind(_binding);
                _bound = false;
                wake(poll_event::in | poll_event::hangup);
            }
            break;
        case tcp_state::syn_sent:
            drop_connection(err{0});
            break;
        default:
            _read_shut = _read_shut || reading;
            if (writing && !_write_shut) {
                _write_shut = true;
                if (_state == tcp_state::established) {
                    set_state(tcp_state::fin_wait1);
                } else if (_state == tcp_state::close_wait) {
                    set_state(tcp_state::last_ack);
                }
            }
            wake(poll_event::in | poll_event::out | poll_event::rdhup |
                 (_read_shut && _write_shut ? poll_event::hangup : 0));
    }
    settle();
    return {};
}

void tcp_socket::linger(u64 until) {
    static_cast<void>(wait_until(
        _queue,
        [this] {
            flow_guard guard(*this);
            return _state != tcp_state::fin_wait1 && _state != tcp_state::closing &&
                   _state != tcp_state::last_ack;
        },
        until));
}

void tcp_socket::close() {
    bool lingers = false;
    {
        flow_guard guard(*this);
        if (_state == tcp_state::listen) {
            close_listener();
            set_state(tcp_state::closed);
        }
        const bool open = _state != tcp_state::closed && _state != tcp_state::time_wait;
        const bool too_many = _net.orphan_count.load(std::memory_order_relaxed) >= most_orphans;
        _orphan = true;
        _net.orphan_count.fetch_add(1, std::memory_order_relaxed);
        if (!open) {
            if (_state == tcp_state::closed) {
                enter_closed();
            }
        } else if (_state == tcp_state::syn_sent) {
            enter_closed();
        } else if (_rcv_queued != 0 || too_many ||
                   (_options.linger && _options.linger_seconds == 0)) {
            // RFC 9293, 3.6.1: what was received will not be read, so the peer must know.
            if (synchronised()) {
                send_reset();
            }
            enter_closed();
        } else {
            lingers = _options.linger && !_write_shut;
            begin_orphan();
        }
        settle();
    }
    if (lingers) {
        linger(deadline_after(u64{_options.linger_seconds} * ns_per_s));
    }
}

void tcp_socket::begin_orphan() {
    _read_shut = true;
    if (!_write_shut) {
        _write_shut = true;
        if (_state == tcp_state::established) {
            set_state(tcp_state::fin_wait1);
        } else if (_state == tcp_state::close_wait) {
            set_state(tcp_state::last_ack);
        }
    } else if (_state == tcp_state::fin_wait2) {
        const u64 seconds = _linger2 <= 0 ? 60 : static_cast<u64>(_linger2);
        start_timer(wait_timer, now() + seconds * ns_per_s);
    }
}

void tcp_socket::network_error(err reason, bool hard, u32) {
    hold_flow();
    {
        flow_guard guard(*this);
        if (hard && (_state == tcp_state::syn_sent || _state == tcp_state::syn_received)) {
            drop_connection(reason);
        } else {
            _soft_error = reason;
        }
        settle();
    }
    release_flow();
}

void tcp_socket::quoted_error(u32 sequence, err reason, bool hard, u32 mtu) {
    hold_flow();
    {
        flow_guard guard(*this);
        // RFC 5927, 4: only what could be in flight may be quoted.
        const bool plausible =
            seq_at_or_before(_snd_una, sequence) && seq_before(sequence, _snd_nxt);
        if (plausible && reason == err::msgsize) {
            if (mtu < _path_mtu) {
                _path_mtu = mtu;
                _congestion.set_mss(segment_size());
                _recovery = recovery_state::recovery;
                _recovery_point = _snd_nxt;
                _resent_edge = _snd_una;
                _loss_edge = _snd_nxt;
            }
        } else if (plausible) {
            const bool opening =
                _state == tcp_state::syn_sent || _state == tcp_state::syn_received;
            if (hard && opening) {
                drop_connection(reason);
            } else {
                _soft_error = reason;
            }
        }
        settle();
    }
    release_flow();
}

}  // namespace kiln::net
