// Bytes between a pipe's ring and a file, or two rings, without a buffer in between (splice, tee,
// sendfile, vmsplice). What the other side does not take stays in the pipe.
//
// As on Linux the pipe's lock is held while the other side moves its bytes. Two pipes are locked in the
// order of their addresses.
#include <algorithm>

#include "core/signal_sender.hh"
#include "fs/byte_mover.hh"
#include "fs/pipe.hh"

namespace kiln {
namespace {

class two_locks : noncopyable {
public:
    two_locks(mutex& one, mutex& other)
        : _first(std::min(&one, &other)), _second(std::max(&one, &other)) {
        _first->lock();
        _second->lock();
    }
    ~two_locks() {
        _second->unlock();
        _first->unlock();
    }

private:
    mutex* const _first;
    mutex* const _second;
};

}  // namespace

result<void> pipe_buffer::wait_for_bytes(bool nonblocking) {
    if (_used != 0 || _writers == 0) {
        return {};
    }
    if (nonblocking) {
        return err::again;
    }
    return restartable(wait_until(queue, [this] { return _used != 0 || _writers == 0; }));
}

result<void> pipe_buffer::wait_for_room(bool nonblocking) {
    const auto ready = [this] { return _used < _capacity || _readers == 0; };
    if (!ready()) {
        if (nonblocking) {
            return err::again;
        }
        TRY(restartable(wait_until(queue, ready)));
    }
    if (_readers == 0) {
        send_pipe_signal();
        return err::pipe;
    }
    return {};
}

std::span<std::byte> pipe_buffer::room_at_end(usize limit) {
    if (_used == 0) {
        _start = 0;
    }
    const usize end = (_start + _used) % capacity();
    return {_ring + end, std::min({capacity() - used(), capacity() - end, limit})};
}

std::span<std::byte> pipe_buffer::bytes_at(usize offset, usize limit) const {
    const usize at = (_start + offset) % capacity();
    return {_ring + at, std::min({used() - offset, capacity() - at, limit})};
}

void pipe_buffer::drop_front(usize count) {
    _start = (_start + count) % capacity();
    _used -= count;
}

result<usize> pipe_buffer::fill_locked(byte_mover& source, usize count) {
    TRY(make_ring());
    usize done = 0;
    while (done < count && _used < _capacity) {
        const std::span<std::byte> room = room_at_end(count - done);
        const result<usize> got = source.move(room);
        if (!got.ok()) {
            return done != 0 ? result<usize>(done) : got.error();
        }
        _used += got.value();
        done += got.value();
        if (got.value() < room.size() || !source.goes_on()) {
            break;
        }
    }
    return done;
}

result<usize> pipe_buffer::fill(byte_mover& source, usize count, bool nonblocking) {
    while (true) {
        TRY(wait_for_room(nonblocking));
        lock_guard guard(_lock);
        if (_used < _capacity) {
            const usize done = TRY(fill_locked(source, count));
            if (done != 0) {
                queue.wake(poll_event::in | poll_event::rdnorm);
            }
            return done;
        }
    }
}

result<usize> pipe_buffer::drain_locked(byte_mover& target, usize count) {
    usize done = 0;
    while (done < count && _used != 0) {
        const std::span<std::byte> bytes = bytes_at(0, count - done);
        const result<usize> put = target.move(bytes);
        if (!put.ok()) {
            return done != 0 ? result<usize>(done) : put.error();
        }
        drop_front(put.value());
        done += put.value();
        if (put.value() < bytes.size() || !target.goes_on()) {
            break;
        }
    }
    return done;
}

result<usize> pipe_buffer::drain(byte_mover& target, usize count, bool nonblocking) {
    while (true) {
        TRY(wait_for_bytes(nonblocking));
        lock_guard guard(_lock);
        if (_used != 0) {
            const usize done = TRY(drain_locked(target, count));
            if (done != 0) {
                queue.wake(poll_event::out | poll_event::wrnorm);
            }
            return done;
        }
        if (_writers == 0) {
            return usize{0};
        }
    }
}

// Both locks are held.
result<usize> pipe_buffer::copy_locked(pipe_buffer& from, pipe_buffer& to, usize count) {
    TRY(to.make_ring());
    usize done = 0;
    while (done < count && done < from.used() && to._used < to._capacity) {
        const std::span<std::byte> bytes = from.bytes_at(done, count - done);
        const std::span<std::byte> room = to.room_at_end(bytes.size());
        __builtin_memcpy(room.data(), bytes.data(), room.size());
        to._used += room.size();
        done += room.size();
    }
    return done;
}

result<usize> pipe_buffer::transfer(pipe_buffer& from, pipe_buffer& to, usize count, bool nonblocking,
                                    bool keep) {
    while (true) {
        TRY(from.wait_for_bytes(nonblocking));
        TRY(to.wait_for_room(nonblocking));
        two_locks guard(from._lock, to._lock);
        const usize done = TRY(copy_locked(from, to, count));
        if (!keep) {
            from.drop_front(done);
        }
        if (done != 0) {
            to.queue.wake(poll_event::in | poll_event::rdnorm);
            if (!keep) {
                from.queue.wake(poll_event::out | poll_event::wrnorm);
            }
        }
        if (done != 0 || (from._used == 0 && from._writers == 0)) {
            return done;
        }
    }
}

result<usize> pipe_buffer::write_what_fits(io_vector& from, bool nonblocking) {
    while (from.remaining() != 0) {
        TRY(wait_for_room(nonblocking));
        lock_guard guard(_lock);
        const usize done = TRY(try_write(from, 1));
        if (done != 0) {
            queue.wake(poll_event::in | poll_event::rdnorm);
            return done;
        }
    }
    return usize{0};
}

}  // namespace kiln
