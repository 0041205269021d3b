// TCP's timers: retransmission (RFC 6298), delayed acknowledgment, persist, keep-alive, the waits of
// closing. A socket has deadlines of its own and one timer of the stack for the earliest; the timer
// is moved only to an earlier time, so that the usual case, a deadline that goes back and forth,
// touches no tree.
#include <algorithm>

#include "net/stack.hh"
#include "net/tcp_listener.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

constexpr u32 most_tries = 15;         // net.ipv4.tcp_retries2
constexpr u32 most_orphan_tries = 8;   // net.ipv4.tcp_orphan_retries

}  // namespace

void tcp_socket::start_timer(timer_kind kind, u64 deadline) {
    _deadlines[kind] = deadline;
}

void tcp_socket::stop_all_timers() {
    std::fill(std::begin(_deadlines), std::end(_deadlines), never);
}

// Lets the stack's timer follow the deadlines.
void tcp_socket::schedule() {
    const u64 earliest = *std::min_element(std::begin(_deadlines), std::end(_deadlines));
    if (earliest == never) {
        if (_state == tcp_state::closed && _timer_pending.exchange(false)) {
            if (_net.timers.stop(_timer)) {
                drop_reference();
            }
        }
        return;
    }
    if (_timer_pending.load(std::memory_order_acquire) && _timer_at <= earliest) {
        return;
    }
    _timer_at = earliest;
    _timer_pending.store(true, std::memory_order_release);
    if (_net.timers.start(_timer, earliest)) {
        add_reference();
    }
}

void tcp_socket::timer_fired(net_timer& expired) {
    tcp_socket& self = *member_traits<&tcp_socket::_timer>::object(&expired);
    self._timer_pending.store(false, std::memory_order_release);
    self.mark_due();
    self.attend();
    self.drop_reference();
}

void tcp_socket::run_timers() {
    const u64 time = now();
    for (u8 kind = 0; kind < timer_count; ++kind) {
        if (_deadlines[kind] <= time) {
            _deadlines[kind] = never;
            run_timer(static_cast<timer_kind>(kind), time);
        }
    }
}

void tcp_socket::run_timer(timer_kind kind, u64 time) {
    switch (kind) {
        case retransmit_timer:
            if (_state == tcp_state::listen) {
                listener_timers(time);
            } else {
                on_retransmit(time);
            }
            break;
        case ack_timer:
            if (_rcv_nxt != _last_ack_sent) {
                _ack_now = true;
            }
            break;
        case persist_timer:
            on_persist(time);
            break;
        case keep_timer:
            on_keep_alive(time);
            break;
        case wait_timer:
            enter_closed();
            break;
        case cork_timer:
            _cork_expired = true;
            break;
        default:
            break;
    }
}

void tcp_socket::restart_retransmit_timer() {
    if (outstanding() == 0) {
        stop_timer(retransmit_timer);
    } else {
        start_timer(retransmit_timer, now() + _rtt.timeout());
    }
}

bool tcp_socket::given_up(u64 time, u32 tries, u32 limit) const {
    if (_user_timeout != 0) {
        return tries > 1 && time - _first_try_at >= u64{_user_timeout} * ns_per_ms;
    }
    return tries > (_orphan ? std::min(limit, most_orphan_tries) : limit);
}

void tcp_socket::on_retransmit(u64 time) {
    if (_tries == 0) {
        _first_try_at = time;
    }
    ++_tries;
    const bool opening = _state == tcp_state::syn_sent || _state == tcp_state::syn_received;
    if (given_up(time, _tries, opening ? _syn_count : most_tries)) {
        drop_connection(_soft_error != err{0} ? _soft_error : err::timedout);
        return;
    }
    _rtt.back_off();
    if (opening) {
        send_syn();
        return;
    }
    if (outstanding() == 0) {
        return;
    }
    if (_recovery != recovery_state::loss) {
        _congestion.timeout(outstanding());
    }
    _recovery = recovery_state::loss;
    _recovery_point = _snd_nxt;
    _resent_edge = _snd_una;
    _loss_edge = _snd_nxt;
    // RFC 2018, 8: the peer may have thrown away what it SACKed.
    _scoreboard.clear();
    _duplicate_acks = 0;
    _timed_at = 0;
    start_timer(retransmit_timer, time + _rtt.timeout());
    // A path or a neighbour may have changed.
    _way_generation = 0;
}

void tcp_socket::on_persist(u64 time) {
    const u32 sent = outstanding();
    const u32 unsent = static_cast<u32>(_queue_out.size()) - sent;
    if (sent != 0 || (unsent == 0 && !_write_shut)) {
        return;
    }
    if (_tries == 0) {
        _first_try_at = time;
    }
    ++_tries;
    if (given_up(time, _tries, most_tries) && (_orphan || time - _last_heard_at > 60 * ns_per_s)) {
        drop_connection(err::timedout);
        return;
    }
    if (_snd_window != 0 && unsent != 0) {
        send_segment(_snd_nxt, std::min({unsent, _snd_window, segment_size()}),
                     tcp_header::ack | tcp_header::psh, false);
        return;
    }
    send_probe();
    _rtt.back_off();
    start_timer(persist_timer, time + _rtt.timeout());
}

void tcp_socket::restart_keep_alive() {
    if (_options.keep_alive && _was_connected) {
        start_timer(keep_timer, now() + u64{_keep_idle} * ns_per_s);
    } else {
        stop_timer(keep_timer);
    }
}

void tcp_socket::on_keep_alive(u64 time) {
    if (!_options.keep_alive || !synchronised() || _state == tcp_state::time_wait) {
        return;
    }
    const u64 quiet_until = _last_heard_at + u64{_keep_idle} * ns_per_s;
    if (outstanding() != 0 || quiet_until > time) {
        _keep_probes = 0;
        start_timer(keep_timer, std::max(quiet_until, time + ns_per_s));
        return;
    }
    const bool over = _user_timeout != 0
                          ? _keep_probes > 0 && time - _last_heard_at >= u64{_user_timeout} * ns_per_ms
                          : _keep_probes >= _keep_count;
    if (over) {
        send_reset();
        drop_connection(err::timedout);
        return;
    }
    ++_keep_probes;
    send_probe();
    start_timer(keep_timer, time + u64{_keep_interval} * ns_per_s);
}

}  // namespace kiln::net
