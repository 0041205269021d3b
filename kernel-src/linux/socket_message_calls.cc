// Sending and receiving on sockets: send*, recv*, with addresses and ancillary data.
#include <algorithm>

#include "linux/descriptors.hh"
#include "linux/socket_file.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

constexpr usize most_ranges = 1024;  // UIO_MAXIOV
constexpr usize few_ranges = 8;
constexpr usize most_control = 20480;  // net.core.optmem_max
constexpr i32 control_rights = 1;
constexpr i32 control_credentials = 2;
constexpr usize most_files = 253;  // SCM_MAX_FD

// struct msghdr, cmsghdr, mmsghdr of Linux x86-64.
struct user_message {
    u64 name;
    i32 name_size;
    u32 pad;
    u64 ranges;
    u64 range_count;
    u64 control;
    u64 control_size;
    u32 flags;
    u32 pad2;
};
static_assert(sizeof(user_message) == 56);

struct user_message_entry {
    user_message header;
    u32 length;
    u32 pad;
};
static_assert(sizeof(user_message_entry) == 64);

struct control_header {
    u64 size;
    i32 level;
    i32 type;
};
static_assert(sizeof(control_header) == 16);

// The ranges of a message, copied in: a few on the stack, many on the heap.
class range_list {
public:
    result<void> read(u64 from, u64 count) {
        if (count > most_ranges) {
            return err::msgsize;
        }
        _count = count;
        if (count > few_ranges) {
            TRY(_many.resize(count));
        }
        TRY(copy_from_user(data(), from, count * sizeof(user_iovec)));
        for (usize i = 0; i < count; ++i) {
            if (static_cast<i64>(data()[i].length) < 0) {
                return err::inval;
            }
        }
        return {};
    }
    std::span<const user_iovec> view() { return {data(), _count}; }

private:
    user_iovec* data() { return _count > few_ranges ? _many.data() : _few; }

    usize _count = 0;
    user_iovec _few[few_ranges]{};
    vector<user_iovec> _many;
};

result<void> take_rights(std::span<const std::byte> body, socket_message& to) {
    const usize count = body.size() / sizeof(i32);
    if (count + to.files.size() > most_files) {
        return err::inval;
    }
    for (usize i = 0; i < count; ++i) {
        i32 fd;
        __builtin_memcpy(&fd, body.data() + i * sizeof(fd), sizeof(fd));
        ref<file> passed = TRY(get_file(fd));
        TRY(to.files.push_back(std::move(passed)));
    }
    return {};
}

result<void> take_credentials(std::span<const std::byte> body, socket_message& to) {
    if (body.size() != sizeof(socket_credentials)) {
        return err::inval;
    }
    __builtin_memcpy(&to.credentials, body.data(), sizeof(to.credentials));
    to.has_credentials = true;
    return {};
}

result<void> take_control(std::span<const std::byte> bytes, socket_message& to) {
    while (bytes.size() >= sizeof(control_header)) {
        control_header header;
        __builtin_memcpy(&header, bytes.data(), sizeof(header));
        if (header.size < sizeof(header) || header.size > bytes.size()) {
            return err::inval;
        }
        const auto body = bytes.subspan(sizeof(header), header.size - sizeof(header));
        if (header.level == socket_level::socket) {
            if (header.type == control_rights) {
                TRY(take_rights(body, to));
            } else if (header.type == control_credentials) {
                TRY(take_credentials(body, to));
            } else {
                return err::inval;
            }
        } else if (body.size() <= sizeof(control_record::bytes)) {
            control_record record{header.level, header.type, static_cast<u32>(body.size()), {}};
            __builtin_memcpy(record.bytes, body.data(), body.size());
            TRY(to.control.push_back(record));
        }
        bytes = bytes.subspan(std::min<usize>(align_up(header.size, 8), bytes.size()));
    }
    return {};
}

result<void> read_control(const user_message& from, socket_message& to) {
    if (from.control_size == 0) {
        return {};
    }
    if (from.control_size > most_control) {
        return err::nobufs;
    }
    vector<std::byte> bytes;
    TRY(bytes.resize(from.control_size));
    TRY(copy_from_user(bytes.data(), from.control, bytes.size()));
    return take_control(bytes, to);
}

// Writes ancillary data as far as it fits.
class control_writer {
public:
    control_writer(u64 to, u64 room) : _at(to), _room(room) {}

    result<void> put(i32 level, i32 type, const void* bytes, usize size) {
        if (_room < sizeof(control_header)) {
            truncated = true;
            return {};
        }
        const usize fitting = std::min<usize>(size, _room - sizeof(control_header));
        truncated = truncated || fitting < size;
        const control_header header{sizeof(control_header) + fitting, level, type};
        TRY(copy_to_user(_at, &header, sizeof(header)));
        TRY(copy_to_user(_at + sizeof(header), bytes, fitting));
        const usize step = std::min<usize>(_room, align_up(header.size, 8));
        _at += step;
        _room -= step;
        used += step;
        return {};
    }
    usize room() const { return _room; }

    usize used = 0;
    bool truncated = false;

private:
    u64 _at;
    usize _room;
};

// Each file becomes a descriptor of the receiver; those without room are closed.
result<void> put_rights(socket_message& from, control_writer& to, u32 flags) {
    if (from.files.empty()) {
        return {};
    }
    const usize room = to.room() < sizeof(control_header)
                           ? 0
                           : (to.room() - sizeof(control_header)) / sizeof(i32);
    i32 fds[most_files];
    usize count = 0;
    while (count < std::min(room, from.files.size())) {
        auto fd = install_descriptor(from.files[count],
                                     (flags & message_flag::close_on_exec) != 0);
        if (!fd.ok()) {
            break;
        }
        fds[count++] = fd.value();
    }
    to.truncated = to.truncated || count < from.files.size();
    if (count == 0) {
        return {};
    }
    return to.put(socket_level::socket, control_rights, fds, count * sizeof(i32));
}

result<void> write_control(socket_message& from, user_message& to, u32 flags) {
    control_writer writer(to.control, to.control == 0 ? 0 : to.control_size);
    for (const control_record& record : from.control) {
        TRY(writer.put(record.level, record.type, record.bytes, record.size));
    }
    if (from.has_credentials) {
        TRY(writer.put(socket_level::socket, control_credentials, &from.credentials,
                       sizeof(from.credentials)));
    }
    TRY(put_rights(from, writer, flags));
    from.flags |= writer.truncated ? message_flag::control_truncated : 0;
    to.control_size = writer.used;
    return {};
}

u32 call_flags(const held_socket& held, u32 flags) {
    return flags | (held.nonblocking() ? message_flag::dont_wait : 0);
}

result<i64> send_message(const held_socket& held, const user_message& header, u32 flags) {
    range_list ranges;
    TRY(ranges.read(header.ranges, header.range_count));
    io_vector data = io_vector::user(ranges.view());
    socket_message message(data);
    if (header.name != 0 && header.name_size != 0) {
        if (header.name_size < 0) {
            return err::inval;
        }
        message.address.size = std::min<usize>(static_cast<usize>(header.name_size),
                                               socket_address::capacity);
        TRY(copy_from_user(message.address.bytes, header.name, message.address.size));
    }
    TRY(read_control(header, message));
    result<usize> sent = held->send(message, call_flags(held, flags));
    return finish_send(held, std::move(sent), data.remaining(), flags);
}

result<i64> receive_message(const held_socket& held, user_message& header, u32 flags) {
    range_list ranges;
    TRY(ranges.read(header.ranges, header.range_count));
    if (header.name_size < 0) {
        return err::inval;
    }
    io_vector data = io_vector::user(ranges.view());
    socket_message message(data);
    const usize got = TRY(held.target->receive(message, call_flags(held, flags)));
    if (header.name != 0) {
        TRY(copy_to_user(header.name, message.address.bytes,
                         std::min<usize>(static_cast<usize>(header.name_size), message.address.size)));
        header.name_size = static_cast<i32>(message.address.size);
    }
    TRY(write_control(message, header, flags));
    // Linux hands this one flag of the call back.
    header.flags = message.flags | (flags & message_flag::close_on_exec);
    return static_cast<i64>(got);
}

// The fields that recvmsg changes.
result<void> write_back(u64 to, const user_message& header) {
    TRY(user_ptr<i32>(to + offsetof(user_message, name_size)).write(header.name_size));
    TRY(user_ptr<u64>(to + offsetof(user_message, control_size)).write(header.control_size));
    return user_ptr<u32>(to + offsetof(user_message, flags)).write(header.flags);
}

struct user_timespec {
    i64 seconds;
    i64 nanoseconds;
};

}  // namespace

SYSCALL(sendto, int fd, u64 buffer, u64 size, u32 flags, u64 address, i32 address_size) {
    held_socket held = TRY(get_socket(fd));
    user_iovec range{buffer, size};
    io_vector data = io_vector::user(range);
    socket_message message(data);
    if (address != 0 && address_size != 0) {
        if (address_size < 0 || static_cast<usize>(address_size) > socket_address::capacity) {
            return err::inval;
        }
        message.address.size = static_cast<usize>(address_size);
        TRY(copy_from_user(message.address.bytes, address, message.address.size));
    }
    result<usize> sent = held->send(message, call_flags(held, flags));
    return finish_send(held, std::move(sent), data.remaining(), flags);
}

SYSCALL(recvfrom, int fd, u64 buffer, u64 size, u32 flags, u64 address, u64 address_size) {
    held_socket held = TRY(get_socket(fd));
    user_iovec range{buffer, size};
    io_vector data = io_vector::user(range);
    socket_message message(data);
    const usize got = TRY(held->receive(message, call_flags(held, flags)));
    if (address != 0) {
        const user_ptr<i32> length(address_size);
        const i32 room = TRY(length.read());
        if (room < 0) {
            return err::inval;
        }
        TRY(copy_to_user(address, message.address.bytes,
                         std::min<usize>(static_cast<usize>(room), message.address.size)));
        TRY(length.write(static_cast<i32>(message.address.size)));
    }
    return static_cast<i64>(got);
}

SYSCALL(sendmsg, int fd, user_ptr<user_message> header, u32 flags) {
    held_socket held = TRY(get_socket(fd));
    return send_message(held, TRY(header.read()), flags);
}

SYSCALL(recvmsg, int fd, user_ptr<user_message> header, u32 flags) {
    held_socket held = TRY(get_socket(fd));
    user_message told = TRY(header.read());
    const i64 got = TRY(receive_message(held, told, flags));
    TRY(write_back(header.address(), told));
    return got;
}

SYSCALL(sendmmsg, int fd, user_ptr<user_message_entry> entries, u32 count, u32 flags) {
    held_socket held = TRY(get_socket(fd));
    i64 done = 0;
    for (u32 i = 0; i < std::min<u32>(count, most_ranges); ++i) {
        const auto entry = entries.at(i);
        auto sent = [&]() -> result<i64> {
            const user_message_entry told = TRY(entry.read());
            return send_message(held, told.header, flags);
        }();
        if (!sent.ok()) {
            return done != 0 ? result<i64>(done) : std::move(sent);
        }
        TRY(user_ptr<u32>(entry.address() + offsetof(user_message_entry, length))
                .write(static_cast<u32>(sent.value())));
        ++done;
    }
    return done;
}

SYSCALL(recvmmsg, int fd, user_ptr<user_message_entry> entries, u32 count, u32 flags,
        user_ptr<user_timespec> timeout) {
    held_socket held = TRY(get_socket(fd));
    u64 until = never;
    if (timeout) {
        const user_timespec given = TRY(timeout.read());
        if (given.seconds < 0 || given.nanoseconds < 0 || given.nanoseconds >= 1'000'000'000) {
            return err::inval;
        }
        until = deadline_after(static_cast<u64>(given.seconds) * ns_per_s +
                               static_cast<u64>(given.nanoseconds));
    }
    i64 done = 0;
    for (u32 i = 0; i < std::min<u32>(count, most_ranges) && (done == 0 || now() < until); ++i) {
        const auto entry = entries.at(i);
        auto got = [&]() -> result<i64> {
            user_message_entry told = TRY(entry.read());
            const i64 size = TRY(receive_message(held, told.header,
                                                 flags & ~message_flag::wait_for_one));
            told.length = static_cast<u32>(size);
            TRY(write_back(entry.address(), told.header));
            TRY(user_ptr<u32>(entry.address() + offsetof(user_message_entry, length))
                    .write(told.length));
            return size;
        }();
        if (!got.ok()) {
            return done != 0 ? result<i64>(done) : std::move(got);
        }
        ++done;
        if ((flags & message_flag::wait_for_one) != 0) {
            flags |= message_flag::dont_wait;
        }
    }
    return done;
}

}  // namespace kiln
