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

    // Copies what is in front without taking it (tee). Waits for something unless `nonblocking`.
    result<usize> peek(std::span<std::byte> to, bool nonblocking);

    const u64 number;
    wait_queue queue;

private:
    result<void> make_ring();
    result<usize> try_read(io_vector& to);
    result<usize> try_write(io_vector& from, usize least);
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
