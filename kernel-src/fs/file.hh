// An open file description: what a descriptor refers to. Everything a program can hold a descriptor
// of derives from it: regular files, directories, devices, pipes, sockets, epoll …
//
// Life: intrusive references; descriptors, running system calls and mappings hold them. When the
// last goes, the destructor closes. Locks: position_lock (a sleeping lock) is held around read,
// write and seek that use the shared position; implementations take their own locks inside.
// Context: threads.
#pragma once

#include <atomic>
#include <span>

#include "core/io_vector.hh"
#include "core/mutex.hh"
#include "core/wait_queue.hh"
#include "lib/list.hh"
#include "lib/ref.hh"
#include "lib/result.hh"

namespace kiln {

class vm_object;
class epoll_file;
class signalfd_file;  // linux/signalfd.cc
class inode;
class pipe_buffer;
class timerfd_file;
class inotify_file;
class dentry;
class socket;
struct file_status;    // fs/stat.hh: what stat and statx report
class directory_sink;  // fs/directory.hh: takes the entries of a readdir

// O_* of the Linux x86-64 ABI (include/uapi/asm-generic/fcntl.h).
namespace open_flag {
inline constexpr u32 access_mode = 3, rdonly = 0, wronly = 1, rdwr = 2, creat = 0100, excl = 0200,
                     noctty = 0400, trunc = 01000, append = 02000, nonblock = 04000, dsync = 010000,
                     async = 020000, direct = 040000, largefile = 0100000, directory = 0200000,
                     nofollow = 0400000, noatime = 01000000, cloexec = 02000000, sync = 04010000,
                     path = 010000000, tmpfile = 020200000;
}

// EPOLL* and POLL* share their values.
namespace poll_event {
inline constexpr u32 in = 0x001, pri = 0x002, out = 0x004, error = 0x008, hangup = 0x010,
                     invalid = 0x020, rdnorm = 0x040, rdband = 0x080, wrnorm = 0x100,
                     wrband = 0x200, rdhup = 0x2000;
// Only ever a mask of a wake-up, never reported: something has come that the file has not looked at.
// Whoever waits calls poll_events, which looks, and wakes the queue with what it means, if anything.
inline constexpr u32 unseen = 1u << 27;
}

// What epoll hangs on a file that it watches (fs/epoll.cc).
struct epoll_item_base : noncopyable {
    list_node file_link;
};

// The signals that tell the program what happens to a file; linux/file_signals.cc.
class file_signals : noncopyable {
public:
    virtual ~file_signals() = default;

    // A write found no room: room is news when it comes.
    std::atomic<bool> wants_space{false};
};

class file : public ref_counted<file> {
public:
    explicit file(u32 flags) : _flags(flags) {}
    virtual ~file() = default;

    // O_* without creation flags. Only append, nonblock, async, direct and noatime change later.
    u32 flags() const { return _flags.load(std::memory_order_relaxed); }
    void set_flags(u32 flags) { _flags.store(flags, std::memory_order_relaxed); }
    bool nonblocking() const { return (flags() & open_flag::nonblock) != 0; }
    bool readable() const { return (flags() & open_flag::access_mode) != open_flag::wronly; }
    bool writable() const { return (flags() & open_flag::access_mode) != open_flag::rdonly; }

    // Bytes at `position`, which they move; streams ignore it. 0 is end of file. Whether the mode
    // allows it has been checked. An interrupted wait is err::restart_sys.
    virtual result<usize> read(io_vector& to, u64& position);
    virtual result<usize> write(io_vector& from, u64& position);
    // Streams (pipes, sockets, terminals) have no position: pread gives ESPIPE.
    virtual bool seekable() const { return false; }
    virtual result<u64> seek(i64 offset, int whence);

    // What is ready now, and the queue that is woken (with the events as mask) whenever that may
    // have changed. Files that are always ready have no queue.
    virtual u32 poll_events() {
        return poll_event::in | poll_event::out | poll_event::rdnorm | poll_event::wrnorm;
    }
    virtual wait_queue* poll_queue() { return nullptr; }
    // Whether epoll takes it (regular files and directories: EPERM).
    virtual bool pollable() const { return true; }

    virtual result<i64> ioctl(u32 command, u64 argument);
    // Without an inode: that of the anonymous inode (eventfd, epoll …).
    virtual result<void> status(file_status& to);
    virtual result<void> truncate(u64 size);
    virtual result<void> allocate(int mode, u64 offset, u64 length);
    virtual result<void> sync(bool data_only);
    virtual result<void> read_directory(directory_sink& sink);
    // What mmap maps; `writable_shared` for MAP_SHARED with PROT_WRITE possible.
    virtual result<ref<vm_object>> mapping(bool writable_shared);
    // The text that /proc/self/fd/N links to: a path, or e.g. "pipe:[17]". Returns its length.
    virtual result<usize> describe(std::span<char> to);

    virtual inode* get_inode() { return nullptr; }
    virtual dentry* get_dentry() { return nullptr; }
    virtual socket* as_socket() { return nullptr; }
    virtual epoll_file* as_epoll() { return nullptr; }
    virtual signalfd_file* as_signalfd() { return nullptr; }
    virtual bool is_pidfd() const { return false; }
    virtual pipe_buffer* as_pipe() { return nullptr; }
    virtual timerfd_file* as_timerfd() { return nullptr; }
    virtual inotify_file* as_inotify() { return nullptr; }

    // Whether splice and sendfile take bytes from it, or put them there.
    virtual bool is_splice_source() const { return false; }
    virtual bool is_splice_target() const { return false; }
    virtual bool is_terminal() const { return false; }
    // Whether O_ASYNC can be set; then there is a poll_queue.
    virtual bool can_signal() const { return false; }
    // Made when first asked for, and kept. Null before.
    file_signals* signals() const { return _signals.load(std::memory_order_acquire); }
    void set_signals(unique<file_signals> made) {
        _signals.store(made.leak(), std::memory_order_release);
    }
    void note_no_space() {
        if (file_signals* const told = signals()) {
            told->wants_space.store(true, std::memory_order_seq_cst);
        }
    }

    // A descriptor of the program was closed (POSIX locks go, epoll interest ends with the last
    // one).
    virtual void descriptor_closed() {}

    // Called by ref when the last reference goes: ends epoll interest, then destroys. Drop
    // references holding no locks.
    void last_reference();

    mutex position_lock;
    u64 position = 0;

private:
    friend class epoll_file;
    friend void detach_from_epolls(file&);

    std::atomic<u32> _flags;
    std::atomic<file_signals*> _signals{nullptr};
    std::atomic<bool> _watched{false};  // has been added to an epoll once
    list<epoll_item_base, &epoll_item_base::file_link> _epoll_items;  // fs/epoll.cc's global lock
};

}  // namespace kiln
