// TCP's socket options, with Linux's ranges, values and errors.
#include <algorithm>

#include "net/stack.hh"
#include "net/tcp_info.hh"
#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

constexpr u32 seconds_of_retries(u32 retries) {
    // How long so many retransmissions of a SYN-ACK take: 1, 3, 7, 15 … seconds.
    return retries == 0 ? 0 : std::min((1u << retries) - 1, 120u * retries);
}

u32 retries_for(u32 seconds) {
    u32 retries = 0;
    while (seconds_of_retries(retries) < seconds && retries < 255) {
        ++retries;
    }
    return retries;
}

result<void> in_range(i32 value, i32 low, i32 high) {
    return value < low || value > high ? result<void>(err::inval) : result<void>();
}

}  // namespace

result<void> tcp_socket::set_option(i32 level, i32 name, std::span<const std::byte> value) {
    if (level == socket_level::tcp) {
        return set_tcp_option(name, value);
    }
    return inet_socket::set_option(level, name, value);
}

result<usize> tcp_socket::get_option(i32 level, i32 name, std::span<std::byte> value) {
    if (level == socket_level::tcp) {
        return get_tcp_option(name, value);
    }
    return inet_socket::get_option(level, name, value);
}

void tcp_socket::option_changed(i32 name) {
    inet_socket::option_changed(name);
    flow_guard guard(*this);
    if (name == socket_option::keep_alive) {
        restart_keep_alive();
    } else if (name == socket_option::receive_buffer && _options.receive_buffer_locked) {
        _rcv_limit = std::max(_options.receive_buffer.load() / 2, 2048u);
    }
    settle();
}

result<void> tcp_socket::set_tcp_option(i32 name, std::span<const std::byte> value) {
    using namespace tcp_option;
    if (name == congestion) {
        const std::string_view wanted(reinterpret_cast<const char*>(value.data()), value.size());
        const std::string_view text = wanted.substr(0, wanted.find('\0'));
        flow_guard guard(*this);
        if (text != "cubic" && text != "reno") {
            return err::noent;
        }
        _congestion.set_kind(text == "reno" ? congestion_control::algorithm::reno
                                            : congestion_control::algorithm::cubic);
        return {};
    }
    const i32 number = TRY(option_int(value));
    const bool on = number != 0;
    flow_guard guard(*this);
    switch (name) {
        case no_delay:
            _no_delay = on;
            settle();
            return {};
        case cork:
            _cork = on;
            _cork_expired = !on;
            settle();
            return {};
        case max_segment:
            if (number != 0 && (number < 88 || number > 32767)) {
                return err::inval;
            }
            _user_mss = static_cast<u16>(number);
            return {};
        case keep_idle:
            TRY(in_range(number, 1, 32767));
            _keep_idle = static_cast<u32>(number);
            restart_keep_alive();
            settle();
            return {};
        case keep_interval:
            TRY(in_range(number, 1, 32767));
            _keep_interval = static_cast<u32>(number);
            return {};
        case keep_count:
            TRY(in_range(number, 1, 127));
            _keep_count = static_cast<u8>(number);
            return {};
        case syn_count:
            TRY(in_range(number, 1, 127));
            _syn_count = static_cast<u8>(number);
            return {};
        case linger2:
            _linger2 = number < 0 ? -1 : number > 120 ? 0 : number;
            return {};
        case defer_accept:
            _defer_accept = number <= 0 ? 0 : seconds_of_retries(retries_for(static_cast<u32>(number)));
            return {};
        case window_clamp:
            if (number == 0 && _state != tcp_state::closed) {
                return err::inval;
            }
            _window_clamp = number <= 0 ? 0 : std::max<u32>(static_cast<u32>(number), 1152);
            return {};
        case quick_ack:
            _quick_acks = on ? u8{16} : u8{0};
            _interactive = !on;
            _ack_now = _ack_now || (on && _rcv_nxt != _last_ack_sent && synchronised());
            settle();
            return {};
        case user_timeout:
            if (number < 0) {
                return err::inval;
            }
            _user_timeout = static_cast<u32>(number);
            return {};
        case notsent_low_water:
            _notsent_low_water = static_cast<u32>(number);
            return {};
        case fast_open:
            if (number < 0 || (_state != tcp_state::closed && _state != tcp_state::listen)) {
                return err::inval;
            }
            _fast_open = number;
            return {};
        case fast_open_connect:
            return on ? result<void>(err::opnotsupp) : result<void>();
        case timestamp:
            return err::perm;
        default:
            return err::noprotoopt;
    }
}

result<usize> tcp_socket::get_tcp_option(i32 name, std::span<std::byte> value) {
    using namespace tcp_option;
    flow_guard guard(*this);
    auto number = [&](u32 found) { return put_option_int(value, static_cast<i32>(found)); };
    switch (name) {
        case no_delay:
            return number(_no_delay);
        case cork:
            return number(_cork);
        case max_segment:
            if (_state == tcp_state::closed || _state == tcp_state::listen) {
                return number(_user_mss != 0 ? _user_mss : 536);
            }
            return number(segment_size());
        case keep_idle:
            return number(_keep_idle);
        case keep_interval:
            return number(_keep_interval);
        case keep_count:
            return number(_keep_count);
        case syn_count:
            return number(_syn_count);
        case linger2:
            return number(_linger2 < 0 ? ~u32{0} : _linger2 == 0 ? 60u : static_cast<u32>(_linger2));
        case defer_accept:
            return number(_defer_accept);
        case window_clamp:
            return number(_window_clamp);
        case quick_ack:
            return number(!_interactive);
        case user_timeout:
            return number(_user_timeout);
        case notsent_low_water:
            return number(_notsent_low_water);
        case fast_open:
            return number(static_cast<u32>(_fast_open));
        case fast_open_connect:
            return number(0);
        case timestamp:
            return number(tcp_clock(now()) + _ts_offset);
        case congestion: {
            char text[16] = "cubic";
            if (_congestion.kind() == congestion_control::algorithm::reno) {
                __builtin_memcpy(text, "reno\0\0", 6);
            }
            return put_option(value, text, sizeof(text));
        }
        case info: {
            tcp_info found{};
            fill_info(found);
            return put_option(value, &found, sizeof(found));
        }
        default:
            return err::noprotoopt;
    }
}

void tcp_socket::fill_info(tcp_info& to) {
    const u32 mss = segment_size();
    const u64 time = now();
    auto milliseconds = [](u64 ns) { return static_cast<u32>(ns / ns_per_ms); };
    auto microseconds = [](u64 ns) { return static_cast<u32>(ns / ns_per_us); };
    to.state = static_cast<u8>(_state.load());
    to.ca_state = _recovery == recovery_state::open ? 0 : _recovery == recovery_state::recovery ? 3 : 4;
    to.retransmits = _tries;
    to.probes = _keep_probes;
    to.backoff = _rtt.backoff();
    const bool connected = synchronised();
    if (connected) {
        to.options = static_cast<u8>((_timestamps ? 1 : 0) | (_sack ? 2 : 0) | (_rcv_scale != 0 ? 4 : 0));
        to.scales = static_cast<u8>(_snd_scale | _rcv_scale << 4);
    }
    to.rto = microseconds(_rtt.timeout());
    to.ato = 40'000;
    to.snd_mss = mss;
    to.rcv_mss = _last_payload;
    to.unacked = (outstanding() + mss - 1) / mss;
    to.sacked = (_scoreboard.bytes() + mss - 1) / mss;
    to.last_data_sent = milliseconds(time - std::min(_last_sent_at, time));
    to.last_data_recv = milliseconds(time - std::min(_last_heard_at, time));
    to.last_ack_recv = to.last_data_recv;
    to.pmtu = std::min(_path_mtu, _way.out != nullptr ? _way.out->mtu() : 1500);
    to.rcv_ssthresh = _rcv_limit;
    to.rtt = microseconds(_rtt.smoothed());
    to.rttvar = microseconds(_rtt.variance());
    to.min_rtt = _rtt.has_sample() ? microseconds(_rtt.minimum()) : ~u32{0};
    to.snd_ssthresh = _congestion.threshold() == congestion_control::infinite
                          ? u32{congestion_control::infinite}
                          : _congestion.threshold() / mss;
    to.snd_cwnd = std::max(_congestion.window() / mss, 1u);
    to.advmss = mss;
    to.reordering = 3;
    to.rcv_space = _rcv_limit;
    to.total_retrans = _total_retransmits;
    to.bytes_acked = _bytes_acked;
    to.bytes_received = _bytes_received;
    to.segs_out = _segments_out;
    to.segs_in = _segments_in;
    const u32 queued = static_cast<u32>(_queue_out.size());
    to.notsent_bytes = connected ? queued - std::min(outstanding(), queued) : 0;
    to.snd_wnd = _snd_window;
}

}  // namespace kiln::net
