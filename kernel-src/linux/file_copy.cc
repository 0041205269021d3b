// Moving bytes between descriptors without the program's memory: sendfile, copy_file_range, splice,
// tee, vmsplice. Through a pipe they go straight from or to its ring, else through one kernel buffer.
// The order of the checks is Linux's, since more than one may fail.
#include <algorithm>

#include "fs/byte_mover.hh"
#include "fs/pipe.hh"
#include "lib/vector.hh"
#include "linux/path_arguments.hh"
#include "linux/syscall.hh"
#include "linux/task.hh"
#include "linux/vector_arguments.hh"
#include "net/socket.hh"

namespace kiln {
namespace {

constexpr usize buffer_size = 65536;
constexpr u64 largest_transfer = 0x7fff'f000;
constexpr u64 largest_position = 0x7fff'ffff'ffff'ffff;

// One side: a file and where in it. The file's own position is used, and moved, unless an address
// says otherwise.
class endpoint : noncopyable {
public:
    endpoint(ref<file> open, u64 offset_address)
        : _open(std::move(open)), _address(offset_address) {}

    // The offset that was given: err::fault.
    result<void> fetch() {
        if (_address != 0) {
            _position = static_cast<u64>(TRY(user_ptr<i64>(_address).read()));
        }
        return {};
    }
    // `without_position`: the error for an offset in a stream.
    result<void> begin(err without_position) {
        if (_address != 0) {
            return _open->seekable() ? result<void>() : without_position;
        }
        if (_open->seekable()) {
            lock_guard guard(_open->position_lock);
            _position = _open->position;
        }
        return {};
    }
    // Whether `count` bytes from here on have positions at all.
    result<void> check_range(u64 count) const {
        const bool fits = count <= largest_position && _position <= largest_position - count;
        return fits ? result<void>() : err::inval;
    }
    result<void> end() {
        if (_address != 0) {
            return user_ptr<i64>(_address).write(static_cast<i64>(_position));
        }
        if (_open->seekable()) {
            lock_guard guard(_open->position_lock);
            _open->position = _position;
        }
        return {};
    }
    result<usize> read(std::span<std::byte> to) {
        io_vector bytes = io_vector::kernel(to.data(), to.size());
        return _open->read(bytes, _position);
    }
    // All of it, as far as the file takes it.
    result<usize> write(std::span<const std::byte> from) {
        io_vector bytes = io_vector::kernel(from);
        return _open->write(bytes, _position);
    }
    // As read, never waiting; only AF_UNIX sockets heed SPLICE_F_NONBLOCK.
    result<usize> receive(std::span<std::byte> to) {
        io_vector bytes = io_vector::kernel(to.data(), to.size());
        socket_message message(bytes);
        return _open->as_socket()->receive(message, message_flag::dont_wait);
    }
    void go_back(usize count) { _position -= count; }
    file& open() const { return *_open; }
    u64 position() const { return _position; }
    pipe_buffer* pipe() const { return _open->as_pipe(); }
    bool has_offset() const { return _address != 0; }
    bool appends() const { return (_open->flags() & open_flag::append) != 0; }

private:
    ref<file> _open;
    const u64 _address;
    u64 _position = 0;
};

class reader final : public byte_mover {
public:
    reader(endpoint& from, bool nonblocking)
        : _from(from),
          _receives(nonblocking && from.open().as_socket() != nullptr &&
                    from.open().as_socket()->family() == address_family::local) {}
    result<usize> move(std::span<std::byte> bytes) override {
        return _receives ? _from.receive(bytes) : _from.read(bytes);
    }
    bool goes_on() const override { return _from.open().seekable(); }

private:
    endpoint& _from;
    const bool _receives;
};

class writer final : public byte_mover {
public:
    explicit writer(endpoint& to) : _to(to) {}
    result<usize> move(std::span<std::byte> bytes) override { return _to.write(bytes); }
    bool goes_on() const override { return true; }

private:
    endpoint& _to;
};

// Copies until `count` bytes went, the source has no more, or the target takes no more. What was read
// and not written is given back to the source, which has a position.
result<usize> copy_bytes(endpoint& from, endpoint& to, usize count) {
    vector<std::byte> buffer;
    TRY(buffer.resize(std::min(count, buffer_size)));
    usize done = 0;
    while (done < count) {
        result<usize> got = from.read({buffer.data(), std::min(count - done, buffer.size())});
        if (!got.ok() || got.value() == 0) {
            return done != 0 || got.ok() ? result<usize>(done) : got.error();
        }
        result<usize> put = to.write({buffer.data(), got.value()});
        const usize written = put.ok() ? put.value() : 0;
        from.go_back(got.value() - written);
        done += written;
        if (!put.ok()) {
            return done != 0 ? result<usize>(done) : put.error();
        }
        if (written < got.value()) {
            break;
        }
        yield();
    }
    return done;
}

// For /proc/self/io; splice and its like are not counted there.
void count_transfer(usize count) {
    current_task()->reads.add(count);
    current_task()->writes.add(count);
}

result<i64> finish(endpoint& from, endpoint& to, usize count) {
    TRY(from.end());
    TRY(to.end());
    return static_cast<i64>(count);
}

result<void> check_modes(const file& in, const file& out) {
    return in.readable() && out.writable() ? result<void>() : err::badf;
}

result<usize> send(endpoint& from, endpoint& to, usize count) {
    file& in = from.open();
    if (to.pipe() != nullptr) {
        if (!in.is_splice_source()) {
            return err::inval;
        }
        reader source(from, false);
        return to.pipe()->fill(source, count, to.open().nonblocking());
    }
    if (!in.seekable() || !in.is_splice_source() || !to.open().is_splice_target() || to.appends()) {
        return err::inval;
    }
    return copy_bytes(from, to, count);
}

}  // namespace

// To a pipe it sends what there is room for at once, as splice does.
SYSCALL(sendfile, int out_fd, int in_fd, u64 offset_address, usize count) {
    if (offset_address != 0) {
        TRY(user_ptr<i64>(offset_address).read());
    }
    ref<file> in = TRY(get_real_file(in_fd));
    if (!in->readable()) {
        return err::badf;
    }
    endpoint from(std::move(in), offset_address);
    TRY(from.fetch());
    TRY(from.begin(err::spipe));
    TRY(from.check_range(count));
    ref<file> out = TRY(get_real_file(out_fd));
    if (!out->writable()) {
        return err::badf;
    }
    endpoint to(std::move(out), 0);
    TRY(to.begin(err::inval));
    count = std::min<u64>(count, largest_transfer);
    TRY(to.check_range(count));
    if (count == 0) {
        return 0;
    }
    const usize done = TRY(send(from, to, count));
    count_transfer(done);
    return finish(from, to, done);
}

namespace {

result<void> check_kinds(endpoint& from, endpoint& to) {
    inode* const in = from.open().get_inode();
    inode* const out = to.open().get_inode();
    if ((in != nullptr && in->is_directory()) || (out != nullptr && out->is_directory())) {
        return err::isdir;
    }
    if (in == nullptr || out == nullptr || !in->is_regular() || !out->is_regular()) {
        return err::inval;
    }
    TRY(check_modes(from.open(), to.open()));
    if (to.appends()) {
        return err::badf;
    }
    return &in->filesystem == &out->filesystem ? result<void>() : err::xdev;
}

// How many of `count` bytes there are to copy.
result<u64> copyable(endpoint& from, endpoint& to, u64 count) {
    if (from.position() + count < from.position() || to.position() + count < to.position()) {
        return err::overflow;
    }
    const u64 size = from.open().get_inode()->size();
    count = std::min(count, size - std::min(size, from.position()));
    if (to.position() >= largest_position) {
        return err::fbig;
    }
    if (from.open().get_inode() == to.open().get_inode() &&
        from.position() < to.position() + count && to.position() < from.position() + count) {
        return err::inval;
    }
    return std::min(count, largest_transfer);
}

}  // namespace

SYSCALL(copy_file_range, int in_fd, u64 in_offset, int out_fd, u64 out_offset, usize count,
        u32 flags) {
    ref<file> in = TRY(get_real_file(in_fd));
    ref<file> out = TRY(get_real_file(out_fd));
    endpoint from(std::move(in), in_offset);
    endpoint to(std::move(out), out_offset);
    TRY(from.fetch());
    TRY(to.fetch());
    if (flags != 0) {
        return err::inval;
    }
    TRY(check_kinds(from, to));
    TRY(from.begin(err::inval));
    TRY(to.begin(err::inval));
    const u64 wanted = TRY(copyable(from, to, count));
    TRY(from.check_range(wanted));
    TRY(to.check_range(wanted));
    if (wanted == 0) {
        return 0;
    }
    const usize done = TRY(copy_bytes(from, to, wanted));
    count_transfer(done);
    return finish(from, to, done);
}

namespace {

constexpr u32 splice_nonblocking = 2, splice_known = 15;

result<usize> splice_to_pipe(endpoint& from, endpoint& to, usize count, bool nonblocking) {
    TRY(from.begin(err::inval));
    TRY(from.check_range(count));
    if (!from.open().is_splice_source()) {
        return err::inval;
    }
    reader source(from, nonblocking);
    return to.pipe()->fill(source, count, nonblocking || to.open().nonblocking());
}

result<usize> splice_from_pipe(endpoint& from, endpoint& to, usize count, bool nonblocking) {
    TRY(to.begin(err::inval));
    if (to.appends()) {
        return err::inval;
    }
    TRY(to.check_range(count));
    if (!to.open().is_splice_target()) {
        return err::inval;
    }
    writer target(to);
    return from.pipe()->drain(target, count, nonblocking || from.open().nonblocking());
}

result<usize> splice_any(endpoint& from, endpoint& to, usize count, bool nonblocking) {
    if (from.pipe() == nullptr && to.pipe() == nullptr) {
        return err::inval;
    }
    if (from.pipe() == nullptr) {
        return splice_to_pipe(from, to, count, nonblocking);
    }
    if (to.pipe() == nullptr) {
        return splice_from_pipe(from, to, count, nonblocking);
    }
    if (from.pipe() == to.pipe()) {
        return err::inval;
    }
    return pipe_buffer::transfer(
        *from.pipe(), *to.pipe(), count,
        nonblocking || from.open().nonblocking() || to.open().nonblocking(), false);
}

}  // namespace

SYSCALL(splice, int in_fd, u64 in_offset, int out_fd, u64 out_offset, usize count, u32 flags) {
    if (count == 0) {
        return 0;
    }
    if ((flags & ~splice_known) != 0) {
        return err::inval;
    }
    ref<file> in = TRY(get_real_file(in_fd));
    ref<file> out = TRY(get_real_file(out_fd));
    endpoint from(std::move(in), in_offset);
    endpoint to(std::move(out), out_offset);
    if ((from.pipe() != nullptr && from.has_offset()) ||
        (to.pipe() != nullptr && to.has_offset())) {
        return err::spipe;
    }
    TRY(to.fetch());
    TRY(from.fetch());
    TRY(check_modes(from.open(), to.open()));
    const usize done = TRY(splice_any(from, to, count, (flags & splice_nonblocking) != 0));
    return finish(from, to, done);
}

SYSCALL(tee, int in_fd, int out_fd, usize count, u32 flags) {
    if ((flags & ~splice_known) != 0) {
        return err::inval;
    }
    if (count == 0) {
        return 0;
    }
    ref<file> in = TRY(get_real_file(in_fd));
    ref<file> out = TRY(get_real_file(out_fd));
    TRY(check_modes(*in, *out));
    pipe_buffer* const from = in->as_pipe();
    pipe_buffer* const to = out->as_pipe();
    if (from == nullptr || to == nullptr || from == to) {
        return err::inval;
    }
    const bool nonblocking =
        (flags & splice_nonblocking) != 0 || in->nonblocking() || out->nonblocking();
    return static_cast<i64>(TRY(pipe_buffer::transfer(*from, *to, count, nonblocking, true)));
}

// Copies; the pages stay the program's. Only the flag makes it non-blocking, not O_NONBLOCK, as on
// Linux.
SYSCALL(vmsplice, int fd, u64 ranges, u64 count, u32 flags) {
    if ((flags & ~splice_known) != 0) {
        return err::inval;
    }
    ref<file> open = TRY(get_real_file(fd));
    range_array array;
    TRY(array.fetch(ranges, count));
    io_vector bytes = array.all();
    if (bytes.remaining() == 0) {
        return 0;
    }
    pipe_buffer* const pipe = open->as_pipe();
    if (pipe == nullptr) {
        return err::badf;
    }
    const bool nonblocking = (flags & splice_nonblocking) != 0;
    return static_cast<i64>(open->writable() ? TRY(pipe->write_what_fits(bytes, nonblocking))
                                             : TRY(pipe->read(bytes, nonblocking)));
}

}  // namespace kiln
