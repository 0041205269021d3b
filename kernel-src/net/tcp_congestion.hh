// How much may be in the network: slow start and the reaction to loss of RFC 5681, growth by CUBIC
// (RFC 9438) or by Reno. And the retransmission timer's estimate of RFC 6298.
// Bytes and nanoseconds. Not locked: the socket's lock guards them.
#pragma once

#include <algorithm>

#include "core/clock.hh"
#include "lib/types.hh"

namespace kiln::net {

class congestion_control {
public:
    enum class algorithm : u8 { cubic, reno };

    // RFC 6928: ten segments to begin with.
    void start(u32 mss);
    void set_mss(u32 mss);
    u32 window() const { return _window; }
    u32 threshold() const { return _threshold; }
    bool in_slow_start() const { return _window < _threshold; }
    algorithm kind() const { return _kind; }
    void set_kind(algorithm kind) { _kind = kind; }

    // `bytes` newly acknowledged while nothing was lost and the window was in use.
    void acknowledged(u32 bytes, u64 time, u64 rtt);
    // A loss was seen with `in_flight` bytes out: the window for the recovery.
    void loss(u32 in_flight);
    // The retransmission timer ran out.
    void timeout(u32 in_flight);
    // After the connection has been idle for a while (RFC 5681, 4.1).
    void restart();

    static constexpr u32 infinite = 0x7fffffff;

private:
    void reduce(u32 in_flight);
    void grow_cubic(u32 bytes, u64 time, u64 rtt);
    u32 cubic_target(u64 elapsed_ms) const;

    algorithm _kind = algorithm::cubic;
    u32 _mss = 536;
    u32 _window = 5360;
    u32 _threshold = infinite;
    u32 _credit = 0;         // acknowledged bytes not yet turned into growth
    u64 _epoch = 0;          // when this stretch of growth began; 0: not yet
    u32 _peak = 0;           // window before the last loss
    u32 _origin = 0;         // plateau of the cubic curve
    u32 _reno_estimate = 0;  // what Reno would have
    u32 _reno_credit = 0;
    u64 _plateau_ms = 0;     // K
};

class rtt_estimator {
public:
    static constexpr u64 least = 200 * ns_per_ms;
    static constexpr u64 most = 120 * ns_per_s;
    static constexpr u64 initial = ns_per_s;

    void sample(u64 rtt);
    // The time-out, with what back-off has made of it.
    u64 timeout() const { return std::min(_timeout << _backoff, most); }
    void back_off() { _backoff = std::min<u8>(static_cast<u8>(_backoff + 1), 15); }
    void reset_back_off() { _backoff = 0; }
    u8 backoff() const { return _backoff; }
    u64 smoothed() const { return _smoothed; }
    u64 variance() const { return _variance; }
    u64 minimum() const { return _minimum; }
    bool has_sample() const { return _smoothed != 0; }

private:
    u64 _smoothed = 0;
    u64 _variance = 0;
    u64 _minimum = never;
    u64 _timeout = initial;
    u8 _backoff = 0;
};

}  // namespace kiln::net
