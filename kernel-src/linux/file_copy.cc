// Moving bytes between descriptors without the program's memory: sendfile, copy_file_range, splice,
// tee, vmsplice. All copy through one kernel buffer.
#include <algorithm>

#include "fs/pipe.hh"
#include "lib/vector.hh"
#include "linux/path_arguments.hh"
#include "linux/syscall.hh"
#include "linux/vector_arguments.hh"

namespace kiln {
namespace {

constexpr usize buffer_size = 65536;
constexpr u64 largest_transfer = 0x7fff'f000;

// One side: a file and where in it. The file's own position is used, and moved, unless an address
// says otherwise.
class endpoint : noncopyable {
public:
    endpoint(ref<file> open, u64 offset_address)
        : _open(std::move(open)), _address(offset_address) {}

    result<void> begin() {
        if (_address != 0) {
            const i64 given = TRY(user_ptr<i64>(_address).read());
            if (!_open->seekable()) {
                return err::spipe;
            }
            if (given < 0) {
                return err::inval;
            }
            _position = static_cast<u64>(given);
        } else if (_open->seekable()) {
            lock_guard guard(_open->position_lock);
            _position = _open->position;
        }
        _start = _position;
        return {};
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
    void go_back(usize count) { _position -= count; }
    file& open() const { return *_open; }
    u64 position() const { return _position; }

private:
    ref<file> _open;
    const u64 _address;
    u64 _position = 0;
    u64 _start = 0;
};

// Copies until `count` bytes went, the source has no more for now, or the target takes no more.
// What was read and not written is given back to a source with a position.
result<usize> copy_bytes(endpoint& from, endpoint& to, usize count, bool once) {
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
        from.go_back(from.open().seekable() ? got.value() - written : 0);
        done += written;
        if (!put.ok()) {
            return done != 0 ? result<usize>(done) : put.error();
        }
        if (written < got.value() || once) {
            break;
        }
        yield();
    }
    return done;
}

result<i64> finish(endpoint& from, endpoint& to, usize count) {
    TRY(from.end());
    TRY(to.end());
    return static_cast<i64>(count);
}

result<ref<file>> source(int fd) {
    ref<file> open = TRY(get_real_file(fd));
    return open->readable() ? result<ref<file>>(std::move(open)) : err::badf;
}

result<ref<file>> target(int fd) {
    ref<file> open = TRY(get_real_file(fd));
    return open->writable() ? result<ref<file>>(std::move(open)) : err::badf;
}

}  // namespace

SYSCALL(sendfile, int out_fd, int in_fd, u64 offset_address, usize count) {
    ref<file> in = TRY(source(in_fd));
    ref<file> out = TRY(target(out_fd));
    if (!in->seekable() && in->as_pipe() == nullptr) {
        return err::inval;
    }
    if ((out->flags() & open_flag::append) != 0) {
        return err::inval;
    }
    endpoint from(std::move(in), offset_address);
    endpoint to(std::move(out), 0);
    TRY(from.begin());
    TRY(to.begin());
    const usize done = TRY(copy_bytes(from, to, std::min<u64>(count, largest_transfer), false));
    return finish(from, to, done);
}

SYSCALL(copy_file_range, int in_fd, u64 in_offset, int out_fd, u64 out_offset, usize count,
        u32 flags) {
    if (flags != 0) {
        return err::inval;
    }
    ref<file> in = TRY(source(in_fd));
    ref<file> out = TRY(target(out_fd));
    inode* const in_node = in->get_inode();
    inode* const out_node = out->get_inode();
    if ((in_node != nullptr && in_node->is_directory()) ||
        (out_node != nullptr && out_node->is_directory())) {
        return err::isdir;
    }
    if (in_node == nullptr || out_node == nullptr || !in_node->is_regular() ||
        !out_node->is_regular()) {
        return err::inval;
    }
    if ((out->flags() & open_flag::append) != 0) {
        return err::badf;
    }
    endpoint from(std::move(in), in_offset);
    endpoint to(std::move(out), out_offset);
    TRY(from.begin());
    TRY(to.begin());
    count = std::min<u64>(count, largest_transfer);
    if (in_node == out_node && from.position() < to.position() + count &&
        to.position() < from.position() + count) {
        return err::inval;
    }
    const usize done = TRY(copy_bytes(from, to, count, false));
    return finish(from, to, done);
}

namespace {

constexpr u32 splice_nonblocking = 2, splice_known = 15;

// Makes a side non-blocking for one call.
class briefly_nonblocking : noncopyable {
public:
    briefly_nonblocking(file& open, bool wanted)
        : _open(open), _set(wanted && !open.nonblocking()) {
        if (_set) {
            _open.set_flags(_open.flags() | open_flag::nonblock);
        }
    }
    ~briefly_nonblocking() {
        if (_set) {
            _open.set_flags(_open.flags() & ~open_flag::nonblock);
        }
    }

private:
    file& _open;
    const bool _set;
};

}  // namespace

SYSCALL(splice, int in_fd, u64 in_offset, int out_fd, u64 out_offset, usize count, u32 flags) {
    if ((flags & ~splice_known) != 0) {
        return err::inval;
    }
    if (count == 0) {
        return 0;
    }
    ref<file> in = TRY(source(in_fd));
    ref<file> out = TRY(target(out_fd));
    const bool in_pipe = in->as_pipe() != nullptr;
    const bool out_pipe = out->as_pipe() != nullptr;
    if ((in_pipe && in_offset != 0) || (out_pipe && out_offset != 0)) {
        return err::spipe;
    }
    if ((!in_pipe && !out_pipe) || (in_pipe && out_pipe && in->as_pipe() == out->as_pipe())) {
        return err::inval;
    }
    if ((out->flags() & open_flag::append) != 0 && !out_pipe) {
        return err::inval;
    }
    // What cannot be put into a pipe must not be taken out of another.
    if (out_pipe) {
        const usize room = out->as_pipe()->capacity() - out->as_pipe()->used();
        count = std::min(count, room != 0 ? room : usize{1});
    }
    briefly_nonblocking in_guard(*in, in_pipe && (flags & splice_nonblocking) != 0);
    briefly_nonblocking out_guard(*out, out_pipe && (flags & splice_nonblocking) != 0);
    if (out_pipe && out->nonblocking() && (out->poll_events() & poll_event::out) == 0) {
        return err::again;
    }
    endpoint from(in, in_offset);
    endpoint to(out, out_offset);
    TRY(from.begin());
    TRY(to.begin());
    const usize done = TRY(copy_bytes(from, to, std::min<u64>(count, largest_transfer), true));
    return finish(from, to, done);
}

SYSCALL(tee, int in_fd, int out_fd, usize count, u32 flags) {
    if ((flags & ~splice_known) != 0) {
        return err::inval;
    }
    ref<file> in = TRY(source(in_fd));
    ref<file> out = TRY(target(out_fd));
    pipe_buffer* const from = in->as_pipe();
    pipe_buffer* const to = out->as_pipe();
    if (from == nullptr || to == nullptr || from == to) {
        return err::inval;
    }
    if (count == 0) {
        return 0;
    }
    const bool nonblocking = (flags & splice_nonblocking) != 0;
    vector<std::byte> buffer;
    TRY(buffer.resize(std::min({count, buffer_size, to->capacity()})));
    const usize got = TRY(from->peek(buffer, nonblocking || in->nonblocking()));
    io_vector bytes = io_vector::kernel(buffer.data(), got);
    return got == 0 ? result<i64>(0)
                    : result<i64>(static_cast<i64>(
                          TRY(to->write(bytes, nonblocking || out->nonblocking()))));
}

// Copies; the pages stay the program's.
SYSCALL(vmsplice, int fd, u64 ranges, u64 count, u32 flags) {
    if ((flags & ~splice_known) != 0) {
        return err::inval;
    }
    ref<file> open = TRY(get_real_file(fd));
    pipe_buffer* const pipe = open->as_pipe();
    if (pipe == nullptr) {
        return err::badf;
    }
    range_array array;
    TRY(array.fetch(ranges, count));
    io_vector bytes = array.all();
    if (bytes.remaining() == 0) {
        return 0;
    }
    const bool nonblocking = (flags & splice_nonblocking) != 0 || open->nonblocking();
    return static_cast<i64>(open->writable() ? TRY(pipe->write(bytes, nonblocking))
                                             : TRY(pipe->read(bytes, nonblocking)));
}

}  // namespace kiln
