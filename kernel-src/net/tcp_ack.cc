// Acknowledgments: what they free, what they say of loss (RFC 5681, RFC 6675, RFC 6582), the window.
#include <algorithm>

#include "net/stack.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

constexpr u32 duplicate_threshold = 3;

}  // namespace

// Bytes believed to be in the network: sent, not acknowledged, not SACKed, and not lost unless sent
// again.
u32 tcp_socket::pipe() const {
    const u32 out = outstanding();
    u32 gone = _scoreboard.bytes();
    if (!_sack) {
        gone = std::min(_duplicate_acks * segment_size(), out);
    }
    const u32 from = seq_max(_resent_edge, _snd_una);
    if (_recovery != recovery_state::open && seq_before(from, _loss_edge)) {
        gone += (_loss_edge - from) - _scoreboard.bytes_within(from, _loss_edge);
    }
    return gone >= out ? 0 : out - gone;
}

// False: the segment is to be dropped.
bool tcp_socket::ack_input(tcp_segment& segment) {
    const u32 ack = segment.acknowledgment;
    if (seq_before(_snd_nxt, ack)) {
        _ack_now = true;
        return false;
    }
    if (seq_before(ack, _snd_una)) {
        // RFC 5961, 5: older than any window we ever had.
        if (seq_before(ack, _snd_una - std::max(_max_snd_window, 65535u))) {
            challenge_ack();
            return false;
        }
        return true;
    }
    const bool window_changed = (u32{segment.window} << _snd_scale) != _snd_window;
    take_sacks(segment);
    if (ack != _snd_una) {
        new_ack(segment);
    } else if (outstanding() != 0 && segment.length == 0 && !segment.has(tcp_header::fin) &&
               (!window_changed || segment.options.sack_count != 0)) {
        duplicate_ack(segment);
    }
    update_window(segment);
    return true;
}

void tcp_socket::take_sacks(const tcp_segment& segment) {
    if (!_sack) {
        return;
    }
    for (usize i = 0; i < segment.options.sack_count; ++i) {
        _scoreboard.add(segment.options.sacks[i], seq_max(_snd_una, segment.acknowledgment),
                        _snd_nxt);
    }
}

void tcp_socket::update_window(const tcp_segment& segment) {
    const u32 ack = segment.acknowledgment;
    const u32 window = u32{segment.window} << _snd_scale;
    if (seq_before(_snd_wl1, segment.sequence) ||
        (_snd_wl1 == segment.sequence && seq_at_or_before(_snd_wl2, ack)) ||
        _max_snd_window == 0) {
        _snd_window = window;
        _snd_wl1 = segment.sequence;
        _snd_wl2 = ack;
        _max_snd_window = std::max(_max_snd_window, window);
        if (window != 0 && _deadlines[persist_timer] != never) {
            stop_timer(persist_timer);
            _tries = 0;
            _rtt.reset_back_off();
        }
    }
}

void tcp_socket::measure(const tcp_segment& segment, u64 time) {
    if (_timed_at != 0 && seq_at_or_before(_timed_sequence, segment.acknowledgment)) {
        _rtt.sample(time - _timed_at);
        _timed_at = 0;
    } else if (_timestamps && segment.options.has_timestamp && segment.options.echo != 0 &&
               _timed_at == 0) {
        const u32 elapsed = tcp_clock(time) + _ts_offset - segment.options.echo;
        if (elapsed < 600'000) {
            _rtt.sample(elapsed == 0 ? ns_per_ms / 2 : elapsed * ns_per_ms);
        }
    }
}

void tcp_socket::new_ack(const tcp_segment& segment) {
    const u32 ack = segment.acknowledgment;
    const u32 newly = ack - _snd_una;
    const u32 was_out = pipe();
    const u64 time = now();
    const bool covers_fin = _fin_sent && ack == _snd_nxt;
    _queue_out.drop(std::min<usize>(newly - (covers_fin ? 1 : 0), _queue_out.size()));
    _snd_una = ack;
    _bytes_acked += newly;
    _scoreboard.advance(ack);
    _resent_edge = seq_max(_resent_edge, ack);
    _loss_edge = seq_max(_loss_edge, ack);
    measure(segment, time);
    _tries = 0;
    _rtt.reset_back_off();
    _soft_error = err{0};
    if (_recovery == recovery_state::open) {
        _duplicate_acks = 0;
        _recovery_point = ack;
        // The window grows only while it is what holds us back (RFC 9438, 4.1).
        if (was_out + newly + 2 * segment_size() >= _congestion.window() ||
            (_congestion.in_slow_start() && 2 * (was_out + newly) >= _congestion.window())) {
            _congestion.acknowledged(newly, time, _rtt.smoothed());
        }
    } else if (seq_at_or_before(_recovery_point, ack)) {
        _recovery = recovery_state::open;
        _duplicate_acks = 0;
    } else if (_recovery == recovery_state::loss) {
        _congestion.acknowledged(newly, time, _rtt.smoothed());
    } else if (!_sack) {
        // A partial acknowledgment: the next segment is lost too (RFC 6582, 3.2).
        _duplicate_acks -= std::min(_duplicate_acks, newly / segment_size());
        _loss_edge = seq_min(ack + segment_size(), _snd_nxt);
    }
    if (_sack && !_scoreboard.empty()) {
        update_loss_edge();
    }
    restart_retransmit_timer();
    if (_wants_space && writable_now()) {
        _wants_space = false;
        wake(poll_event::out | poll_event::wrnorm);
    }
    if (covers_fin) {
        our_fin_acknowledged();
    }
}

void tcp_socket::duplicate_ack(const tcp_segment&) {
    ++_duplicate_acks;
    if (_sack && !_scoreboard.empty()) {
        update_loss_edge();
    }
    if (_recovery == recovery_state::open && !_sack && _duplicate_acks >= duplicate_threshold) {
        enter_recovery();
    }
}

// Marks as lost what lies below enough SACKed data, and begins a recovery when that is news.
void tcp_socket::update_loss_edge() {
    const u32 mss = segment_size();
    const u32 edge = _scoreboard.loss_edge(_snd_una, (duplicate_threshold - 1) * mss);
    const bool lost = seq_before(_snd_una, edge) || _duplicate_acks >= duplicate_threshold;
    if (_recovery == recovery_state::open) {
        if (!lost || seq_before(_snd_una, _recovery_point)) {
            return;
        }
        enter_recovery();
    }
    _loss_edge = seq_max(_loss_edge, edge);
}

void tcp_socket::enter_recovery() {
    _recovery = recovery_state::recovery;
    _recovery_point = _snd_nxt;
    _resent_edge = _snd_una;
    _loss_edge = seq_min(_snd_una + segment_size(), _snd_nxt);
    if (!_scoreboard.empty()) {
        _loss_edge = seq_min(_loss_edge, _scoreboard.first_start());
    }
    _congestion.loss(outstanding());
    _timed_at = 0;
}

void tcp_socket::our_fin_acknowledged() {
    switch (_state.load()) {
        case tcp_state::fin_wait1:
            set_state(tcp_state::fin_wait2);
            wake(poll_event::out);
            stop_timer(retransmit_timer);
            if (_orphan) {
                if (_linger2 < 0) {
                    enter_closed();
                    return;
                }
                const u64 seconds = _linger2 == 0 ? 60 : static_cast<u64>(_linger2);
                start_timer(wait_timer, now() + seconds * ns_per_s);
            }
            break;
        case tcp_state::closing:
            enter_time_wait();
            break;
        case tcp_state::last_ack:
            wake(poll_event::hangup);
            enter_closed();
            break;
        default:
            break;
    }
}

}  // namespace kiln::net
