#include "fs/pipe.hh"

#include <algorithm>

#include "core/signal_sender.hh"
#include "fs/stat.hh"
#include "lib/format.hh"

namespace kiln {
namespace {

constexpr u64 pipe_device = make_device(0, 14);
constinit std::atomic<u64> next_number{100};

class pipe_file : public file {
public:
    pipe_file(ref<pipe_buffer> buffer, u32 flags) : file(flags), _buffer(std::move(buffer)) {
        _buffer->add_end(readable(), writable());
    }
    ~pipe_file() override { _buffer->drop_end(readable(), writable()); }

    result<usize> read(io_vector& to, u64&) override { return _buffer->read(to, nonblocking()); }
    result<usize> write(io_vector& from, u64&) override {
        return _buffer->write(from, nonblocking());
    }
    u32 poll_events() override { return _buffer->events(readable(), writable()); }
    wait_queue* poll_queue() override { return &_buffer->queue; }
    result<i64> ioctl(u32 command, u64 argument) override;
    result<void> status(file_status& to) override;
    result<usize> describe(std::span<char> to) override {
        return format_to(to, "pipe:[{}]", _buffer->number);
    }
    pipe_buffer* as_pipe() override { return _buffer.get(); }
    bool is_splice_target() const override { return true; }
    bool can_signal() const override { return true; }

private:
    ref<pipe_buffer> _buffer;
};

// A pipe with a name.
class fifo_file final : public pipe_file {
public:
    fifo_file(ref<pipe_buffer> buffer, dentry& entry, u32 flags)
        : pipe_file(std::move(buffer), flags), _entry(&entry) {}
    result<void> status(file_status& to) override { return _entry->target()->status(to); }
    inode* get_inode() override { return _entry->target(); }
    dentry* get_dentry() override { return _entry.get(); }

private:
    ref<dentry> _entry;
};

result<i64> pipe_file::ioctl(u32 command, u64 argument) {
    constexpr u32 bytes_to_read = 0x541b;  // FIONREAD
    if (command != bytes_to_read) {
        return err::notty;
    }
    TRY(user_ptr<i32>(argument).write(static_cast<i32>(_buffer->used())));
    return 0;
}

result<void> pipe_file::status(file_status& to) {
    to = {};
    to.device = pipe_device;
    to.inode_number = _buffer->number;
    to.mode = mode_bit::fifo | 0600;
    to.accessed = to.modified = to.changed = timestamp_now();
    return {};
}

}  // namespace

result<void> pipe_buffer::make_ring() {
    if (_ring == nullptr) {
        _ring = static_cast<std::byte*>(::operator new(capacity(), std::nothrow));
    }
    return _ring == nullptr ? result<void>(err::nomem) : result<void>();
}

result<usize> pipe_buffer::try_read(io_vector& to) {
    usize done = 0;
    while (_used != 0 && to.remaining() != 0) {
        const usize piece = std::min({used(), capacity() - _start, to.remaining()});
        result<usize> moved = to.put(_ring + _start, piece);
        if (!moved.ok()) {
            return done != 0 ? result<usize>(done) : moved.error();
        }
        done += moved.value();
        _start = (_start + moved.value()) % capacity();
        _used -= moved.value();
        if (moved.value() < piece) {
            break;
        }
    }
    return done;
}

result<usize> pipe_buffer::read(io_vector& to, bool nonblocking) {
    if (to.remaining() == 0) {
        return usize{0};
    }
    while (true) {
        {
            lock_guard guard(_lock);
            const usize done = TRY(try_read(to));
            if (done != 0) {
                queue.wake(poll_event::out | poll_event::wrnorm);
                return done;
            }
            if (_writers == 0) {
                return usize{0};
            }
        }
        if (nonblocking) {
            return err::again;
        }
        TRY(restartable(wait_until(queue, [this] { return _used != 0 || _writers == 0; })));
    }
}

result<usize> pipe_buffer::try_write(io_vector& from, usize least) {
    usize done = 0;
    if (capacity() - _used < least) {
        return done;
    }
    TRY(make_ring());
    while (_used < capacity() && from.remaining() != 0) {
        const usize end = (_start + _used) % capacity();
        const usize piece = std::min({capacity() - used(), capacity() - end, from.remaining()});
        result<usize> moved = from.take(_ring + end, piece);
        if (!moved.ok()) {
            return done != 0 ? result<usize>(done) : moved.error();
        }
        done += moved.value();
        _used += moved.value();
        if (moved.value() < piece) {
            break;
        }
    }
    return done;
}

result<usize> pipe_buffer::write(io_vector& from, bool nonblocking) {
    usize done = 0;
    // What fits PIPE_BUF goes in at once or not at all.
    const usize least = from.remaining() <= pipe_atomic ? from.remaining() : 1;
    while (from.remaining() != 0) {
        {
            lock_guard guard(_lock);
            if (_readers == 0) {
                send_pipe_signal();
                return done != 0 ? result<usize>(done) : err::pipe;
            }
            result<usize> moved = try_write(from, done == 0 ? least : 1);
            if (!moved.ok()) {
                return done != 0 ? result<usize>(done) : moved.error();
            }
            done += moved.value();
            if (moved.value() != 0) {
                queue.wake(poll_event::in | poll_event::rdnorm);
            }
        }
        if (from.remaining() == 0) {
            break;
        }
        if (nonblocking) {
            return done != 0 ? result<usize>(done) : err::again;
        }
        const usize needed = done == 0 ? least : 1;
        result<void> waited = wait_until(queue, [&] { return may_write(needed); });
        if (!waited.ok()) {
            return done != 0 ? result<usize>(done) : restartable(std::move(waited)).error();
        }
    }
    return done;
}

u32 pipe_buffer::events(bool for_reading, bool for_writing) {
    u32 events = 0;
    if (for_reading) {
        events |= _used != 0 ? poll_event::in | poll_event::rdnorm : 0;
        events |= _writers == 0 && _writer_opens != 0 ? poll_event::hangup : 0;
    }
    if (for_writing) {
        events |= _used < _capacity ? poll_event::out | poll_event::wrnorm : 0;
        events |= _readers == 0 ? poll_event::error : 0;
    }
    return events;
}

void pipe_buffer::add_end(bool reader, bool writer) {
    _readers += reader ? 1 : 0;
    _writers += writer ? 1 : 0;
    _reader_opens += reader ? 1 : 0;
    _writer_opens += writer ? 1 : 0;
    queue.wake_all();
}

void pipe_buffer::drop_end(bool reader, bool writer) {
    _readers -= reader ? 1 : 0;
    _writers -= writer ? 1 : 0;
    if (_readers == 0 && _writers == 0) {
        lock_guard guard(_lock);
        _used = 0;
        _start = 0;
    }
    queue.wake_all(poll_event::in | poll_event::out | poll_event::rdnorm | poll_event::wrnorm |
                   poll_event::hangup | poll_event::error);
}

result<void> pipe_buffer::wait_for_peer(bool reader, bool writer, bool nonblocking) {
    if (reader && writer) {
        return {};
    }
    const std::atomic<u32>& others = reader ? _writers : _readers;
    const std::atomic<u64>& opens = reader ? _writer_opens : _reader_opens;
    if (nonblocking) {
        return reader || others != 0 ? result<void>() : err::nxio;
    }
    // One that came and went meanwhile counts too.
    const u64 before = opens;
    return restartable(wait_until(queue, [&] { return others != 0 || opens != before; }));
}

result<usize> pipe_buffer::set_capacity(usize wanted) {
    if (wanted > pipe_largest_size) {
        return err::perm;
    }
    usize size = page_size;
    while (size < wanted) {
        size *= 2;
    }
    auto* fresh = static_cast<std::byte*>(::operator new(size, std::nothrow));
    if (fresh == nullptr) {
        return err::nomem;
    }
    lock_guard guard(_lock);
    if (_used > size) {
        ::operator delete(fresh);
        return err::busy;
    }
    for (usize i = 0; i < _used; ++i) {
        fresh[i] = _ring[(_start + i) % capacity()];
    }
    ::operator delete(std::exchange(_ring, fresh));
    _start = 0;
    _capacity = size;
    queue.wake(poll_event::out | poll_event::wrnorm);
    return size;
}

result<pipe_ends> make_pipe(u32 flags) {
    ref<pipe_buffer> buffer = TRY(make_ref<pipe_buffer>(next_number.fetch_add(1)));
    const u32 shared = flags & (open_flag::nonblock | open_flag::direct);
    pipe_ends made;
    made.reader = TRY(make_ref<pipe_file>(buffer, open_flag::rdonly | shared));
    made.writer = TRY(make_ref<pipe_file>(buffer, open_flag::wronly | shared));
    return made;
}

result<ref<file>> open_fifo(ref<pipe_buffer>& buffer, dentry& entry, u32 flags) {
    {
        lock_guard guard(entry.target()->lock);
        if (!buffer) {
            buffer = TRY(make_ref<pipe_buffer>(entry.target()->number));
        }
    }
    ref<pipe_buffer> opened_buffer = buffer;
    const u32 access = flags & open_flag::access_mode;
    const bool reader = access != open_flag::wronly;
    const bool writer = access != open_flag::rdonly;
    const bool nonblocking = (flags & open_flag::nonblock) != 0;
    if (nonblocking) {
        TRY(opened_buffer->wait_for_peer(reader, writer, true));
    }
    ref<file> opened = TRY(make_ref<fifo_file>(opened_buffer, entry, flags));
    if (!nonblocking) {
        TRY(opened_buffer->wait_for_peer(reader, writer, false));
    }
    return opened;
}

pipe_buffer* pipe_of(file& any) {
    return any.as_pipe();
}

}  // namespace kiln
