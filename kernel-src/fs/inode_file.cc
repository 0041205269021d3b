// Locks: a writer holds inode::lock, so writes to one file exclude each other and truncation;
// readers hold nothing, as the page cache keeps pages alive by reference.
#include "fs/inode_file.hh"

#include <algorithm>

#include "core/signal_sender.hh"
#include "fs/file_lock.hh"
#include "fs/fs_context.hh"
#include "fs/inotify.hh"
#include "lib/format.hh"
#include "mm/page_cache.hh"

namespace kiln {

constinit std::atomic<u64> file_size_limit{~u64{0}};

namespace {

constexpr u64 largest_size = 0x7fff'ffff'ffff'ffff;
constexpr int seek_set = 0, seek_current = 1, seek_end = 2, seek_data = 3, seek_hole = 4;
// Cookies of directories that exist only as mount points.
constexpr u64 synthetic_cookies = u64{1} << 62;

// Puts `.` and `..` first and lets the others through.
class skipping_sink final : public directory_sink {
public:
    skipping_sink(directory_sink& to, u64& position) : _to(to), _position(position) {}

    bool add(const directory_entry& entry) override {
        _full = _full || !_to.add(entry);
        if (!_full) {
            _position = entry.cookie;
        }
        return !_full;
    }
    bool full() const { return _full; }

private:
    directory_sink& _to;
    u64& _position;
    bool _full = false;
};

}  // namespace

inode_file::~inode_file() {
    drop_file_locks(*_inode, this);
    if ((flags() & open_flag::path) == 0) {
        notify_entry(*_entry, writable() ? inotify_event_bit::close_write
                                         : inotify_event_bit::close_nowrite);
    }
}

void inode_file::descriptor_closed() {
    drop_process_locks(*_inode);
}

result<usize> inode_file::describe(std::span<char> to) {
    ref<dentry> root = root_directory();
    const std::string_view path = TRY(dcache::path_of(*_entry, root.get(), to));
    const usize length = path.size();
    std::copy(path.begin(), path.end(), to.begin());
    if (!_entry->removed()) {
        return length;
    }
    return length + format_to(to.subspan(length), " (deleted)");
}

result<u64> plain_seek(u64 position, u64 size, i64 offset, int whence) {
    u64 base = 0;
    switch (whence) {
        case seek_set: break;
        case seek_current: base = position; break;
        case seek_end: base = size; break;
        default: return err::inval;
    }
    const i64 target = static_cast<i64>(base + static_cast<u64>(offset));
    if (target < 0) {
        return err::inval;
    }
    return static_cast<u64>(target);
}

result<usize> regular_file::read(io_vector& to, u64& at) {
    const usize count = TRY(node().pages()->read(to, at));
    at += count;
    if (count != 0) {
        notify_entry(*get_dentry(), inotify_event_bit::access);
    }
    return count;
}

result<usize> regular_file::write(io_vector& from, u64& at) {
    usize count = 0;
    {
        lock_guard guard(node().lock);
        if ((flags() & open_flag::append) != 0) {
            at = node().size();
        }
        const usize wanted = from.remaining();
        if (wanted == 0) {
            return usize{0};
        }
        if (at > largest_size - wanted) {
            return err::fbig;
        }
        TRY(node().prepare_write(at, wanted));
        count = TRY(write_within_limit(from, at));
        at += count;
        touch_modified(node());
    }
    notify_entry(*get_dentry(), inotify_event_bit::modify);
    return count;
}

// What does not fit RLIMIT_FSIZE is not written; when nothing does, the program gets SIGXFSZ.
result<usize> regular_file::write_within_limit(io_vector& from, u64 at) {
    const u64 limit = file_size_limit.load(std::memory_order_relaxed);
    if (at >= limit) {
        send_file_size_signal();
        return err::fbig;
    }
    if (from.remaining() <= limit - at) {
        return node().pages()->write(from, at);
    }
    vector<std::byte> piece;
    TRY(piece.resize(limit - at));
    const usize taken = TRY(from.take(piece.data(), piece.size()));
    io_vector fitting = io_vector::kernel(piece.data(), taken);
    return node().pages()->write(fitting, at);
}

result<u64> regular_file::seek_content(u64 offset, bool data) {
    page_cache& pages = *node().pages();
    const u64 size = pages.size();
    if (offset >= size) {
        return err::nxio;
    }
    if (!pages.has_holes()) {
        return data ? offset : size;
    }
    const u64 limit = (size + page_size - 1) >> page_shift;
    const u64 found = pages.find_page(offset >> page_shift, limit, data) << page_shift;
    if (data && found >= size) {
        return err::nxio;
    }
    return std::min(std::max(found, offset), size);
}

result<u64> regular_file::seek(i64 offset, int whence) {
    if (whence == seek_data || whence == seek_hole) {
        position = TRY(seek_content(static_cast<u64>(offset), whence == seek_data));
    } else {
        position = TRY(plain_seek(position, node().size(), offset, whence));
    }
    return position;
}

result<void> regular_file::truncate(u64 size) {
    if (size > file_size_limit.load(std::memory_order_relaxed)) {
        send_file_size_signal();
        return err::fbig;
    }
    lock_guard guard(node().lock);
    TRY(node().resize(size));
    touch_modified(node());
    return {};
}

result<void> regular_file::allocate(int mode, u64 offset, u64 length) {
    lock_guard guard(node().lock);
    TRY(node().allocate(mode, offset, length));
    touch_modified(node());
    return {};
}

result<ref<vm_object>> regular_file::mapping(bool writable_shared) {
    const std::atomic<u32>* const seals = node().seals();
    if (writable_shared && seals != nullptr &&
        (*seals & (seal_bit::write | seal_bit::future_write)) != 0) {
        return err::perm;
    }
    return ref<vm_object>(node().pages());
}

result<i64> regular_file::ioctl(u32 command, u64 argument) {
    constexpr u32 bytes_to_read = 0x541b;  // FIONREAD
    if (command != bytes_to_read) {
        return err::notty;
    }
    const u64 size = node().size();
    TRY(user_ptr<i32>(argument).write(static_cast<i32>(size > position ? size - position : 0)));
    return 0;
}

result<u64> directory_file::seek(i64 offset, int whence) {
    if (whence == seek_end) {
        return err::inval;
    }
    position = TRY(plain_seek(position, 0, offset, whence));
    return position;
}

result<void> directory_file::read_directory(directory_sink& sink) {
    dentry& self = *get_dentry();
    if (self.removed()) {
        return err::noent;
    }
    skipping_sink out(sink, position);
    constexpr u8 directory_type = directory_entry_type(mode_bit::directory);
    if (position == 0) {
        out.add({".", node().number, directory_type, 1});
    }
    if (position == 1 && !out.full()) {
        ref<dentry> above = dcache::up(self);
        out.add({"..", above->target()->number, directory_type, 2});
    }
    if (position >= 2 && position < synthetic_cookies && !out.full()) {
        lock_guard guard(node().lock);
        TRY(node().read_directory(position <= 2 ? 0 : position, out));
    }
    if (!out.full() && self.has_synthetic_children()) {
        dcache::list_synthetic(self, out, synthetic_cookies, position);
    }
    return {};
}

}  // namespace kiln
