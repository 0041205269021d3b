// A socket as the system calls see it, whatever its family: AF_INET(6) streams and datagrams, AF_UNIX,
// netlink. linux/socket_file.hh puts a descriptor's `file` around it.
//
// Locks are the implementation's own; none is held when these are called. Calls that may block take
// `nonblocking` (O_NONBLOCK or MSG_DONTWAIT); an interrupted wait is err::restart_sys without a
// time-out option and err::intr with one, as on Linux. Context: threads.
#pragma once

#include <atomic>

#include "core/io_vector.hh"
#include "core/wait_queue.hh"
#include "fs/file.hh"
#include "lib/ref.hh"
#include "lib/result.hh"
#include "lib/vector.hh"
#include "net/socket_abi.hh"

namespace kiln {

// struct sockaddr_storage with the length that was given.
struct socket_address {
    static constexpr usize capacity = 128;
    alignas(8) std::byte bytes[capacity]{};
    usize size = 0;

    u16 family() const;
};

// Ancillary data and the address of a message that is sent or received.
struct control_record {
    i32 level;
    i32 type;
    u32 size;
    std::byte bytes[64];
};

struct socket_credentials {
    i32 pid;
    u32 uid;
    u32 gid;
};

struct socket_message {
    explicit socket_message(io_vector& bytes) : data(bytes) {}

    io_vector& data;
    socket_address address;      // send: where to (size 0: nowhere named); receive: where from
    u32 flags = 0;               // receive: MSG_TRUNC, MSG_CTRUNC … that the call reports
    vector<control_record> control;
    vector<ref<file>> files;     // SCM_RIGHTS
    bool has_credentials = false;
    socket_credentials credentials{};
};

class socket : public ref_counted<socket> {
public:
    socket(u16 family, u16 type, u16 protocol)
        : _family(family), _type(type), _protocol(protocol) {}
    virtual ~socket() = default;

    u16 family() const { return _family; }
    u16 type() const { return _type; }
    u16 protocol() const { return _protocol; }

    virtual result<void> bind(const socket_address& address);
    virtual result<void> listen(i32 backlog);
    virtual result<ref<socket>> accept(bool nonblocking);
    virtual result<void> connect(const socket_address& address, bool nonblocking);
    virtual result<usize> send(socket_message& message, u32 flags) = 0;
    virtual result<usize> receive(socket_message& message, u32 flags) = 0;
    virtual result<void> shutdown(i32 how);
    virtual result<void> local_address(socket_address& to);
    virtual result<void> peer_address(socket_address& to);
    virtual result<void> set_option(i32 level, i32 name, std::span<const std::byte> value);
    // Fills `value` and returns the length of the option.
    virtual result<usize> get_option(i32 level, i32 name, std::span<std::byte> value);
    // The commands of its own; err::notty for others. What FIONREAD, SIOCOUTQ report.
    virtual result<usize> bytes_to_read() { return err::inval; }
    virtual result<usize> bytes_unsent() { return err::inval; }
    // Whether the next byte is the urgent one.
    virtual result<bool> at_mark() { return err::notty; }

    virtual u32 poll_events() = 0;
    wait_queue& poll_queue() { return _queue; }
    // The last descriptor is gone: no more calls come.
    virtual void close() = 0;

    // SO_ERROR: the error to report once. err{0}: none.
    err take_error() { return static_cast<err>(_error.exchange(0)); }
    bool has_error() const { return _error.load(std::memory_order_relaxed) != 0; }
    void set_error(err error) { _error = static_cast<int>(error); }

    // SO_* that are the same everywhere.
    struct common_options {
        std::atomic<u32> send_buffer{212992};
        std::atomic<u32> receive_buffer{212992};
        std::atomic<u64> send_timeout{never};     // duration
        std::atomic<u64> receive_timeout{never};
        std::atomic<u32> receive_low_water{1};
        bool send_buffer_locked = false, receive_buffer_locked = false;
        bool reuse_address = false, reuse_port = false, broadcast = false, keep_alive = false,
             oob_inline = false, timestamp = false, pass_credentials = false, dont_route = false;
        bool linger = false;
        u32 linger_seconds = 0;
        u32 priority = 0, mark = 0, busy_poll = 0;
    };
    const common_options& options() const { return _options; }

protected:
    // What SO_ACCEPTCONN tells.
    virtual bool is_listening() const { return false; }
    // The option has changed; derived classes that cache it look again.
    virtual void option_changed(i32) {}

    u64 send_deadline() const { return deadline(_options.send_timeout); }
    u64 receive_deadline() const { return deadline(_options.receive_timeout); }
    // Waits on the poll queue. err::again after the deadline, the restart or EINTR form of a signal.
    template <class Condition>
    result<void> wait_for(Condition condition, u64 until, bool has_timeout) {
        auto waited = wait_until(_queue, condition, until);
        if (waited.ok()) {
            return {};
        }
        if (waited.error() == err::timedout) {
            return err::again;
        }
        return has_timeout ? err::intr : err::restart_sys;
    }

    common_options _options;
    wait_queue _queue;

private:
    static u64 deadline(const std::atomic<u64>& duration) {
        const u64 given = duration.load(std::memory_order_relaxed);
        return given == never ? never : deadline_after(given);
    }
    result<void> set_common_option(i32 name, std::span<const std::byte> value);
    result<void> set_buffer_size(i32 name, i32 wanted);

    u16 _family;
    u16 _type;
    u16 _protocol;
    std::atomic<int> _error{0};
};

// Helpers for options: the value as an int (err::inval when too short), and back.
result<i32> option_int(std::span<const std::byte> value);
result<usize> put_option(std::span<std::byte> to, const void* value, usize size);
inline result<usize> put_option_int(std::span<std::byte> to, i32 value) {
    return put_option(to, &value, sizeof(value));
}

}  // namespace kiln
