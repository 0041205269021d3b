// Pipes: a ring of pages between readers and writers; anonymous and named (fifos).
//
// Writes of at most pipe_atomic bytes go in whole. Lock: the buffer's mutex; user memory is touched
// under it (the page-fault path takes no pipe locks). Context: threads.
#pragma once

#include "core/mutex.hh"
#include "fs/dentry.hh"
#include "fs/file.hh"
#include "lib/vector.hh"

namespace kiln {

inline constexpr usize pipe_atomic = 4096;  // PIPE_BUF
inline constexpr usize pipe_default_size = 65536;
inline constexpr usize pipe_largest_size = 1 * MiB;

// A wait for a pipe that a signal ended restarts the system call.
inline result<void> restartable(result<void> outcome) {
    return !outcome.ok() && outcome.error() == err::intr ? result<void>(err::restart_sys)
                                                         : std::move(outcome);
}

class byte_mover;

class pipe_buffer : public ref_counted<pipe_buffer> {
public:
    explicit pipe_buffer(u64 inode_number) : number(inode_number) {}
    ~pipe_buffer() { ::operator delete(_ring); }

    result<usize> read(io_vector& to, bool nonblocking);
    result<usize> write(io_vector& from, bool nonblocking);
    u32 events(bool for_reading, bool for_writing);

    void add_end(bool reader, bool writer);
    void drop_end(bool reader, bool writer);
    // open(2) of a fifo waits for the other side.
    result<void> wait_for_peer(bool reader, bool writer, bool nonblocking);

    usize used() const { return _used.load(std::memory_order_relaxed); }
    usize capacity() const { return _capacity.load(std::memory_order_relaxed); }
    result<usize> set_capacity(usize wanted);

    // fs/pipe_splice.cc. Each waits until there is something to move, or err::again when
    // `nonblocking`, and then moves what it can, up to `count`. 0: no writer will come with more.
    // err::pipe (and SIGPIPE) when the pipe that is filled has no reader.
    result<usize> fill(byte_mover& source, usize count, bool nonblocking);
    result<usize> drain(byte_mover& target, usize count, bool nonblocking);
    // Two different pipes; with `keep` the bytes stay in the first as well.
    static result<usize> transfer(pipe_buffer& from, pipe_buffer& to, usize count, bool nonblocking,
                                  bool keep);
    // As write, but returns when the pipe is full.
    result<usize> write_what_fits(io_vector& from, bool nonblocking);

    const u64 number;
    wait_queue queue;

private:
    result<void> make_ring();
    result<usize> try_read(io_vector& to);
    result<usize> try_write(io_vector& from, usize least);
    result<void> wait_for_bytes(bool nonblocking);
    result<void> wait_for_room(bool nonblocking);
    // Under the lock: the next stretch of the ring that is free, or holds bytes from `offset` on.
    std::span<std::byte> room_at_end(usize limit);
    std::span<std::byte> bytes_at(usize offset, usize limit) const;
    void drop_front(usize count);
    result<usize> fill_locked(byte_mover& source, usize count);
    result<usize> drain_locked(byte_mover& target, usize count);
    static result<usize> copy_locked(pipe_buffer& from, pipe_buffer& to, usize count);
    bool may_write(usize least) const { return _readers == 0 || _capacity - _used >= least; }

    mutex _lock;
    std::byte* _ring = nullptr;  // made at the first write
    std::atomic<usize> _capacity{pipe_default_size};
    usize _start = 0;
    // Read without the lock by those who wait; changed under it.
    std::atomic<usize> _used{0};
    std::atomic<u32> _readers{0};
    std::atomic<u32> _writers{0};
    std::atomic<u64> _reader_opens{0};
    std::atomic<u64> _writer_opens{0};
};

// The two ends, reading first. `flags`: nonblock, direct, cloexec is the descriptor's.
struct pipe_ends {
    ref<file> reader;
    ref<file> writer;
};
result<pipe_ends> make_pipe(u32 flags);
result<ref<file>> open_fifo(ref<pipe_buffer>& buffer, dentry& entry, u32 flags);

// Null when the file is no pipe.
pipe_buffer* pipe_of(file& any);

}  // namespace kiln
