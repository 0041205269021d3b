// Reading, writing and seeking.
#include "linux/descriptors.hh"
#include "linux/path_arguments.hh"
#include "linux/syscall.hh"
#include "linux/task.hh"
#include "linux/vector_arguments.hh"

namespace kiln {

result<void> range_array::fetch(u64 address, u64 count) {
    if (count > most_ranges) {
        return err::inval;
    }
    if (count > inline_count) {
        TRY(_many.resize(count));
        _ranges = _many.data();
    }
    _count = count;
    TRY(copy_from_user(_ranges, address, count * sizeof(user_iovec)));
    for (usize i = 0; i < count; ++i) {
        if (static_cast<i64>(_ranges[i].length) < 0) {
            return err::inval;
        }
    }
    for (usize i = 0; i < count; ++i) {
        TRY(check_user_range(_ranges[i].base, _ranges[i].length));
    }
    return {};
}

namespace {

constexpr i64 current_position = -1;

// RWF_* of preadv2 and pwritev2.
namespace transfer_flag {
constexpr u32 append = 16, known = 31;
}

result<ref<file>> readable_file(int fd) {
    ref<file> open = TRY(get_file(fd));
    if (!open->readable() || (open->flags() & open_flag::path) != 0) {
        return err::badf;
    }
    return open;
}

result<ref<file>> writable_file(int fd) {
    ref<file> open = TRY(get_file(fd));
    if (!open->writable() || (open->flags() & open_flag::path) != 0) {
        return err::badf;
    }
    return open;
}

// At the file's own position, which it moves.
template <class Transfer>
result<i64> at_own_position(file& open, Transfer transfer) {
    if (!open.seekable()) {
        u64 ignored = 0;
        return static_cast<i64>(TRY(transfer(ignored)));
    }
    lock_guard guard(open.position_lock);
    return static_cast<i64>(TRY(transfer(open.position)));
}

// For /proc/self/io.
result<i64> count_read(result<i64> outcome) {
    current_task()->reads.add(outcome.ok() ? static_cast<u64>(outcome.value()) : 0);
    return outcome;
}

result<i64> count_write(result<i64> outcome) {
    current_task()->writes.add(outcome.ok() ? static_cast<u64>(outcome.value()) : 0);
    return outcome;
}

result<i64> read_into(file& open, io_vector& to) {
    return count_read(
        at_own_position(open, [&](u64& position) { return open.read(to, position); }));
}

result<i64> write_from(file& open, io_vector& from) {
    return count_write(
        at_own_position(open, [&](u64& position) { return open.write(from, position); }));
}

result<void> check_position(file& open, i64 offset) {
    if (offset < 0) {
        return err::inval;
    }
    return open.seekable() ? result<void>() : err::spipe;
}

result<i64> read_at_offset(file& open, io_vector& to, i64 offset) {
    TRY(check_position(open, offset));
    u64 position = static_cast<u64>(offset);
    const result<usize> got = open.read(to, position);
    return count_read(got.ok() ? result<i64>(static_cast<i64>(got.value())) : got.error());
}

result<i64> write_at_offset(file& open, io_vector& from, i64 offset) {
    TRY(check_position(open, offset));
    u64 position = static_cast<u64>(offset);
    const result<usize> put = open.write(from, position);
    return count_write(put.ok() ? result<i64>(static_cast<i64>(put.value())) : put.error());
}

}  // namespace

SYSCALL(read, int fd, u64 buffer, usize size) {
    ref<file> open = TRY(readable_file(fd));
    if (static_cast<i64>(size) < 0) {
        return err::inval;
    }
    TRY(check_user_range(buffer, size));
    user_iovec range{buffer, size};
    io_vector to = io_vector::user(range);
    return read_into(*open, to);
}

SYSCALL(write, int fd, u64 buffer, usize size) {
    ref<file> open = TRY(writable_file(fd));
    if (static_cast<i64>(size) < 0) {
        return err::inval;
    }
    TRY(check_user_range(buffer, size));
    user_iovec range{buffer, size};
    io_vector from = io_vector::user(range);
    return write_from(*open, from);
}

SYSCALL(readv, int fd, u64 ranges, u64 count) {
    ref<file> open = TRY(readable_file(fd));
    range_array array;
    TRY(array.fetch(ranges, count));
    io_vector to = array.all();
    return read_into(*open, to);
}

SYSCALL(writev, int fd, u64 ranges, u64 count) {
    ref<file> open = TRY(writable_file(fd));
    range_array array;
    TRY(array.fetch(ranges, count));
    io_vector from = array.all();
    return write_from(*open, from);
}

SYSCALL(pread64, int fd, u64 buffer, usize size, i64 offset) {
    if (offset < 0) {
        return err::inval;
    }
    ref<file> open = TRY(readable_file(fd));
    TRY(check_user_range(buffer, size));
    user_iovec range{buffer, size};
    io_vector to = io_vector::user(range);
    return read_at_offset(*open, to, offset);
}

SYSCALL(pwrite64, int fd, u64 buffer, usize size, i64 offset) {
    if (offset < 0) {
        return err::inval;
    }
    ref<file> open = TRY(writable_file(fd));
    TRY(check_user_range(buffer, size));
    user_iovec range{buffer, size};
    io_vector from = io_vector::user(range);
    return write_at_offset(*open, from, offset);
}

SYSCALL(preadv2, int fd, u64 ranges, u64 count, i64 offset, u64, u32 flags) {
    ref<file> open = TRY(readable_file(fd));
    range_array array;
    TRY(array.fetch(ranges, count));
    if ((flags & ~transfer_flag::known) != 0) {
        return err::opnotsupp;
    }
    io_vector to = array.all();
    return offset == current_position ? read_into(*open, to) : read_at_offset(*open, to, offset);
}

SYSCALL(pwritev2, int fd, u64 ranges, u64 count, i64 offset, u64, u32 flags) {
    ref<file> open = TRY(writable_file(fd));
    range_array array;
    TRY(array.fetch(ranges, count));
    if ((flags & ~transfer_flag::known) != 0) {
        return err::opnotsupp;
    }
    io_vector from = array.all();
    if ((flags & transfer_flag::append) != 0 && open->seekable()) {
        file_status status;
        TRY(open->status(status));
        offset = offset == current_position ? offset : static_cast<i64>(status.size);
    }
    return offset == current_position ? write_from(*open, from)
                                      : write_at_offset(*open, from, offset);
}

SYSCALL(preadv, int fd, u64 ranges, u64 count, i64 offset) {
    if (offset < 0) {
        return err::inval;
    }
    ref<file> open = TRY(readable_file(fd));
    range_array array;
    TRY(array.fetch(ranges, count));
    io_vector to = array.all();
    return read_at_offset(*open, to, offset);
}

SYSCALL(pwritev, int fd, u64 ranges, u64 count, i64 offset) {
    if (offset < 0) {
        return err::inval;
    }
    ref<file> open = TRY(writable_file(fd));
    range_array array;
    TRY(array.fetch(ranges, count));
    io_vector from = array.all();
    return write_at_offset(*open, from, offset);
}

SYSCALL(lseek, int fd, i64 offset, int whence) {
    ref<file> open = TRY(get_real_file(fd));
    if (whence < 0 || whence > 4) {
        return err::inval;
    }
    lock_guard guard(open->position_lock);
    return static_cast<i64>(TRY(open->seek(offset, whence)));
}

}  // namespace kiln
