#include "net/tcp_congestion.hh"

namespace kiln::net {
namespace {

constexpr u32 most_window = 256u << 20;

u64 cube_root(u64 value) {
    u64 root = 0;
    for (int bit = 20; bit >= 0; --bit) {
        const u64 tried = root | u64{1} << bit;
        if (tried * tried * tried <= value) {
            root = tried;
        }
    }
    return root;
}

}  // namespace

void congestion_control::start(u32 mss) {
    _mss = mss;
    _window = 10 * mss;
    _threshold = infinite;
    _epoch = 0;
    _peak = 0;
}

void congestion_control::set_mss(u32 mss) {
    _mss = mss;
    _window = std::max(_window, mss);
}

void congestion_control::acknowledged(u32 bytes, u64 time, u64 rtt) {
    if (in_slow_start()) {
        const u32 grown = std::min(_window + bytes, std::max(_threshold, _window));
        bytes -= std::min(bytes, grown - _window);
        _window = std::min(grown, most_window);
    }
    if (bytes == 0 || in_slow_start()) {
        return;
    }
    if (_kind == algorithm::cubic) {
        grow_cubic(bytes, time, rtt);
        return;
    }
    _credit += bytes;
    if (_credit >= _window) {
        _credit -= _window;
        _window = std::min(_window + _mss, most_window);
    }
}

// W_cubic(t) = C (t - K)^3 + W_max with C = 0.4 in segments and seconds.
u32 congestion_control::cubic_target(u64 elapsed_ms) const {
    const bool before = elapsed_ms < _plateau_ms;
    const u64 distance = std::min<u64>(before ? _plateau_ms - elapsed_ms : elapsed_ms - _plateau_ms,
                                       100'000);
    const u64 cube = distance * distance * distance / 1'000'000;
    const u64 delta = cube * _mss / 10'000 * 4;
    if (before) {
        return delta >= _origin ? _mss : static_cast<u32>(_origin - delta);
    }
    return static_cast<u32>(std::min<u64>(_origin + delta, most_window));
}

void congestion_control::grow_cubic(u32 bytes, u64 time, u64 rtt) {
    if (_epoch == 0) {
        _epoch = time;
        _reno_estimate = _window;
        _reno_credit = _credit = 0;
        _origin = std::max(_peak, _window);
        const u64 segments = (_origin - _window) / _mss;
        _plateau_ms = cube_root(segments * 2'500'000'000);
    }
    // Where the curve will be a round trip from now, at most half as much again per round trip.
    const u32 target = std::min(cubic_target((time - _epoch + rtt) / ns_per_ms),
                                _window + _window / 2);
    // Reno with the same average: alpha = 3 (1 - 0.7) / (1 + 0.7) = 0.53 segments a round trip.
    _reno_credit += bytes;
    const u64 reno_step = u64{_reno_estimate} * 17 / 9;
    if (_reno_credit >= reno_step) {
        _reno_credit -= static_cast<u32>(reno_step);
        _reno_estimate += _mss;
    }
    _credit += bytes;
    if (target > _window) {
        const u64 growth = u64{_credit} * (target - _window) / _window;
        if (growth >= _mss) {
            _window += static_cast<u32>(std::min<u64>(growth, target - _window));
            _credit = 0;
        }
    } else {
        _credit = std::min(_credit, _window);
    }
    _window = std::min(std::max(_window, _reno_estimate), most_window);
}

void congestion_control::reduce(u32 in_flight) {
    if (_kind == algorithm::reno) {
        _threshold = std::max(in_flight / 2, 2 * _mss);
        return;
    }
    // Fast convergence (RFC 9438, 4.7): give room to newer flows while below the last peak.
    _peak = _window < _peak ? static_cast<u32>(u64{_window} * 17 / 20) : _window;
    _threshold = std::max(static_cast<u32>(u64{_window} * 7 / 10), 2 * _mss);
    _epoch = 0;
}

void congestion_control::loss(u32 in_flight) {
    reduce(in_flight);
    _window = _threshold;
}

void congestion_control::timeout(u32 in_flight) {
    reduce(in_flight);
    _window = _mss;
    _credit = 0;
}

void congestion_control::restart() {
    _window = std::min(_window, 10 * _mss);
    _epoch = 0;
}

void rtt_estimator::sample(u64 rtt) {
    rtt = std::max<u64>(rtt, 1);
    _minimum = std::min(_minimum, rtt);
    if (_smoothed == 0) {
        _smoothed = rtt;
        _variance = rtt / 2;
    } else {
        const u64 error = rtt > _smoothed ? rtt - _smoothed : _smoothed - rtt;
        _variance = (3 * _variance + error) / 4;
        _smoothed = (7 * _smoothed + rtt) / 8;
    }
    _timeout = std::clamp(_smoothed + std::max(4 * _variance, ns_per_ms), least, most);
    _backoff = 0;
}

}  // namespace kiln::net
