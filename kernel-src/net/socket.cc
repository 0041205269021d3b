#include "net/socket.hh"

#include <algorithm>

#include "lib/bytes.hh"

namespace kiln {
namespace {

constexpr i32 max_buffer = 212992;  // net.core.wmem_max and rmem_max of Linux
constexpr u32 min_send_buffer = 4608;
constexpr u32 min_receive_buffer = 2304;

struct old_timeval {
    i64 seconds;
    i64 microseconds;
};

result<u64> timeout_from(std::span<const std::byte> value) {
    if (value.size() < sizeof(old_timeval)) {
        return err::inval;
    }
    old_timeval given;
    __builtin_memcpy(&given, value.data(), sizeof(given));
    if (given.microseconds < 0 || given.microseconds >= 1'000'000) {
        return err::dom;
    }
    if (given.seconds < 0) {
        return u64{0};
    }
    if (given.seconds == 0 && given.microseconds == 0) {
        return never;
    }
    if (static_cast<u64>(given.seconds) >= never / ns_per_s / 4) {
        return never;
    }
    return static_cast<u64>(given.seconds) * ns_per_s +
           static_cast<u64>(given.microseconds) * ns_per_us;
}

result<usize> put_timeout(std::span<std::byte> to, u64 duration) {
    old_timeval given{};
    if (duration != never) {
        given.seconds = static_cast<i64>(duration / ns_per_s);
        given.microseconds = static_cast<i64>(duration % ns_per_s / ns_per_us);
    }
    return put_option(to, &given, sizeof(given));
}

struct linger_option {
    i32 on;
    i32 seconds;
};

}  // namespace

u16 socket_address::family() const {
    return size < 2 ? u16{0} : load<u16>(bytes);
}

result<i32> option_int(std::span<const std::byte> value) {
    if (value.size() < sizeof(i32)) {
        return err::inval;
    }
    return load<i32>(value.data());
}

result<usize> put_option(std::span<std::byte> to, const void* value, usize size) {
    const usize length = std::min(size, to.size());
    __builtin_memcpy(to.data(), value, length);
    return length;
}

result<void> socket::bind(const socket_address&) {
    return err::opnotsupp;
}
result<void> socket::listen(i32) {
    return err::opnotsupp;
}
result<ref<socket>> socket::accept(bool) {
    return err::opnotsupp;
}
result<void> socket::connect(const socket_address&, bool) {
    return err::opnotsupp;
}
result<void> socket::shutdown(i32) {
    return err::opnotsupp;
}
result<void> socket::local_address(socket_address&) {
    return err::opnotsupp;
}
result<void> socket::peer_address(socket_address&) {
    return err::opnotsupp;
}

result<void> socket::set_option(i32 level, i32 name, std::span<const std::byte> value) {
    if (level != socket_level::socket) {
        return err::noprotoopt;
    }
    TRY(set_common_option(name, value));
    option_changed(name);
    return {};
}

// Linux keeps twice what is asked for, for its own overhead, and says so to those who ask.
result<void> socket::set_buffer_size(i32 name, i32 wanted) {
    const u32 doubled = static_cast<u32>(std::clamp(wanted, 0, max_buffer)) * 2;
    if (name == socket_option::send_buffer || name == socket_option::send_buffer_force) {
        _options.send_buffer = std::max(doubled, min_send_buffer);
        _options.send_buffer_locked = true;
    } else {
        _options.receive_buffer = std::max(doubled, min_receive_buffer);
        _options.receive_buffer_locked = true;
    }
    return {};
}

result<void> socket::set_common_option(i32 name, std::span<const std::byte> value) {
    using namespace socket_option;
    if (name == send_timeout_old || name == send_timeout_new) {
        _options.send_timeout = TRY(timeout_from(value));
        return {};
    }
    if (name == receive_timeout_old || name == receive_timeout_new) {
        _options.receive_timeout = TRY(timeout_from(value));
        return {};
    }
    if (name == bind_to_device || name == detach_filter) {
        return name == detach_filter ? result<void>(err::noent) : result<void>(err::perm);
    }
    const i32 number = TRY(option_int(value));
    const bool on = number != 0;
    switch (name) {
        case debug:
            return on ? result<void>(err::acces) : result<void>();
        case reuse_address:
            _options.reuse_address = on;
            return {};
        case reuse_port:
            _options.reuse_port = on;
            return {};
        case socket_option::dont_route:
            _options.dont_route = on;
            return {};
        case broadcast:
            _options.broadcast = on;
            return {};
        case keep_alive:
            _options.keep_alive = on;
            return {};
        case oob_inline:
            _options.oob_inline = on;
            return {};
        case send_buffer:
        case receive_buffer:
        case send_buffer_force:
        case receive_buffer_force:
            return set_buffer_size(name, number);
        case priority:
            if (number < 0 || number > 6) {
                return err::perm;
            }
            _options.priority = static_cast<u32>(number);
            return {};
        case linger: {
            if (value.size() < sizeof(linger_option)) {
                return err::inval;
            }
            _options.linger = on;
            _options.linger_seconds = load<u32>(value.data() + sizeof(i32));
            return {};
        }
        case pass_credentials:
            _options.pass_credentials = on;
            return {};
        case receive_low_water:
            _options.receive_low_water = number <= 0 ? 1u : static_cast<u32>(number);
            return {};
        case timestamp_old:
            _options.timestamp = on;
            return {};
        case mark:
            _options.mark = static_cast<u32>(number);
            return {};
        case busy_poll:
            _options.busy_poll = static_cast<u32>(number);
            return number < 0 ? result<void>(err::inval) : result<void>();
        case no_check:
        case pass_security:
        case receive_overflow:
        case incoming_cpu:
        case max_pacing_rate:
            return {};
        default:
            return err::noprotoopt;
    }
}

result<usize> socket::get_option(i32 level, i32 name, std::span<std::byte> value) {
    using namespace socket_option;
    if (level != socket_level::socket) {
        return err::noprotoopt;
    }
    auto number = [&](u32 found) { return put_option_int(value, static_cast<i32>(found)); };
    switch (name) {
        case debug:
        case no_check:
        case pass_security:
        case receive_overflow:
        case incoming_napi:
            return number(0);
        case reuse_address:
            return number(_options.reuse_address);
        case reuse_port:
            return number(_options.reuse_port);
        case socket_option::type:
            return number(_type);
        case socket_option::protocol:
            return number(_protocol);
        case domain:
            return number(_family);
        case error:
            return number(static_cast<u32>(take_error()));
        case socket_option::dont_route:
            return number(_options.dont_route);
        case broadcast:
            return number(_options.broadcast);
        case send_buffer:
            return number(_options.send_buffer);
        case receive_buffer:
            return number(_options.receive_buffer);
        case keep_alive:
            return number(_options.keep_alive);
        case oob_inline:
            return number(_options.oob_inline);
        case priority:
            return number(_options.priority);
        case linger: {
            const linger_option found{_options.linger, static_cast<i32>(_options.linger_seconds)};
            return put_option(value, &found, sizeof(found));
        }
        case pass_credentials:
            return number(_options.pass_credentials);
        case receive_low_water:
            return number(_options.receive_low_water);
        case send_low_water:
            return number(1);
        case send_timeout_old:
        case send_timeout_new:
            return put_timeout(value, _options.send_timeout);
        case receive_timeout_old:
        case receive_timeout_new:
            return put_timeout(value, _options.receive_timeout);
        case timestamp_old:
            return number(_options.timestamp);
        case accepting:
            return number(is_listening());
        case mark:
            return number(_options.mark);
        case busy_poll:
            return number(_options.busy_poll);
        case incoming_cpu:
            return number(0);
        case bind_to_device:
            return usize{0};
        default:
            return err::noprotoopt;
    }
}

}  // namespace kiln
