#include "fs/block_file.hh"

#include <algorithm>
#include <atomic>

#include "core/page.hh"
#include "core/park.hh"
#include "core/user.hh"
#include "fs/special_files.hh"

namespace kiln {
namespace {

constexpr u32 largest_order = 6;
constexpr u32 page_block = 4096;

constinit std::atomic<block_device*> root_device{nullptr};

// Contiguous memory on the way to the device or from it; as much as there is at once.
class transfer_buffer : noncopyable {
public:
    static result<transfer_buffer> make(usize wanted) {
        u32 order = 0;
        while (order < largest_order && (page_size << order) < wanted) {
            ++order;
        }
        for (; order != 0; --order) {
            result<page*> made = alloc_pages(order, alloc_mode::nowait);
            if (made.ok()) {
                return transfer_buffer(made.value(), order);
            }
        }
        return transfer_buffer(TRY(alloc_page()), 0);
    }
    transfer_buffer(transfer_buffer&& other) noexcept
        : _head(std::exchange(other._head, nullptr)), _order(other._order) {}
    ~transfer_buffer() {
        if (_head != nullptr) {
            drop_page_reference(*_head);
        }
    }
    std::byte* data() const { return static_cast<std::byte*>(page_data(*_head)); }
    // How much of `left` to move at once, so that what follows begins at a page's boundary.
    usize piece(u64 position, usize left) const {
        const usize size = page_size << _order;
        return std::min<usize>(left, size - position % page_size);
    }

private:
    transfer_buffer(page* head, u32 order) : _head(head), _order(order) {}
    page* _head;
    u32 _order;
};

bool carries_root(const block_device& device) {
    const block_device* const root = root_device.load(std::memory_order_acquire);
    return root != nullptr && (root == &device || root->whole == &device);
}

template <class T>
result<i64> tell(u64 argument, T value) {
    TRY(user_ptr<T>(argument).write(value));
    return 0;
}

// The largest power of two up to a page that divides the size, as Linux chooses it.
u32 block_size_of(const block_device& device) {
    u32 size = device.logical_sector_size();
    while (size < page_block && device.size_in_bytes() % (size * 2) == 0) {
        size *= 2;
    }
    return size;
}

// <linux/fs.h>
namespace block_command {
constexpr u32 read_only = 0x125e, size_in_512 = 0x1260, flush_buffers = 0x1261,
              sector_size = 0x1268, discard = 0x1277, least_io = 0x1278, best_io = 0x1279,
              alignment = 0x127a, physical_sector_size = 0x127b, rotates = 0x127e,
              block_size = 0x80081270, size = 0x80081272;
}

}  // namespace

void set_root_device(block_device& device) {
    root_device.store(&device, std::memory_order_release);
}

result<ref<file>> open_block_device(dentry& entry, u32 flags) {
    block_device* const found = block_device_by_number(entry.target()->special_device);
    if (found == nullptr) {
        return err::nxio;
    }
    const bool writes = (flags & open_flag::access_mode) != open_flag::rdonly;
    if (writes && carries_root(*found)) {
        return err::busy;
    }
    return TRY(make_ref<block_file>(entry, flags, *found));
}

result<void> block_file::check_direct(u64 at, usize size) const {
    const bool is_direct = (flags() & open_flag::direct) != 0;
    const bool fits = at % _device.logical_sector_size() == 0 && size % _device.logical_sector_size() == 0;
    return !is_direct || fits ? result<void>() : err::inval;
}

result<usize> block_file::read(io_vector& to, u64& at) {
    const u64 end = _device.size_in_bytes();
    if (at >= end || to.remaining() == 0) {
        return usize{0};
    }
    TRY(check_direct(at, to.remaining()));
    usize left = std::min<u64>(to.remaining(), end - at), done = 0;
    const transfer_buffer buffer = TRY(transfer_buffer::make(at % page_size + left));
    while (left != 0) {
        const usize size = buffer.piece(at, left);
        const result<void> got = _device.read(at, {buffer.data(), size});
        const result<usize> moved = got.ok() ? to.put(buffer.data(), size) : got.error();
        if (!moved.ok()) {
            return done != 0 ? result<usize>(done) : moved.error();
        }
        _device.count_read(size);
        at += moved.value();
        done += moved.value();
        left = moved.value() < size ? 0 : left - size;
        yield();
    }
    return done;
}

result<usize> block_file::write_pieces(io_vector& from, u64& at, usize left) {
    usize done = 0;
    const transfer_buffer buffer = TRY(transfer_buffer::make(at % page_size + left));
    while (left != 0) {
        const usize size = buffer.piece(at, left);
        const result<usize> taken = from.take(buffer.data(), size);
        const result<void> put =
            taken.ok() ? _device.write(at, {buffer.data(), taken.value()}) : taken.error();
        if (!put.ok()) {
            return done != 0 ? result<usize>(done) : put.error();
        }
        _device.count_write(taken.value());
        at += taken.value();
        done += taken.value();
        left = taken.value() < size ? 0 : left - size;
        yield();
    }
    return done;
}

result<usize> block_file::write(io_vector& from, u64& at) {
    const u64 end = _device.size_in_bytes();
    if (_device.read_only()) {
        return err::perm;
    }
    if (from.remaining() == 0) {
        return usize{0};
    }
    if (at >= end) {
        return err::nospc;
    }
    const usize size = std::min<u64>(from.remaining(), end - at);
    TRY(check_direct(at, size));
    const usize done = TRY(write_pieces(from, at, size));
    if ((flags() & open_flag::dsync) != 0) {
        TRY(_device.flush());
    }
    return done;
}

result<u64> block_file::seek(i64 offset, int whence) {
    const u64 end = _device.size_in_bytes();
    const u64 target = TRY(plain_seek(position, end, offset, whence));
    return target <= end ? result<u64>(position = target) : err::inval;
}

result<void> block_file::sync(bool) {
    return _device.flush();
}

result<void> block_file::allocate(int, u64, u64) {
    return err::opnotsupp;
}

// The argument points to the first byte and how many there are.
result<i64> block_file::discard(u64 argument) {
    if (!writable()) {
        return err::badf;
    }
    if (!_device.can_discard()) {
        return err::opnotsupp;
    }
    const u64 start = TRY(user_ptr<u64>(argument).read());
    const u64 length = TRY(user_ptr<u64>(argument).at(1).read());
    const u64 sector = _device.logical_sector_size(), end = _device.size_in_bytes();
    if (start % sector != 0 || length % sector != 0 || start > end || length > end - start) {
        return err::inval;
    }
    if (length != 0) {
        TRY(_device.discard(start, length));
    }
    return 0;
}

result<i64> block_file::ioctl(u32 command, u64 argument) {
    switch (command) {
        case block_command::read_only: return tell<i32>(argument, _device.read_only() ? 1 : 0);
        case block_command::size_in_512: return tell<u64>(argument, _device.size_in_bytes() / 512);
        case block_command::size: return tell<u64>(argument, _device.size_in_bytes());
        case block_command::sector_size:
        case block_command::least_io:
        case block_command::physical_sector_size:
            return tell<u32>(argument, _device.logical_sector_size());
        case block_command::block_size: return tell<u32>(argument, block_size_of(_device));
        case block_command::best_io:
        case block_command::alignment: return tell<u32>(argument, 0);
        case block_command::rotates: return tell<u16>(argument, 0);
        case block_command::discard: return discard(argument);
        case block_command::flush_buffers:
            TRY(_device.flush());
            return 0;
        default: return err::notty;
    }
}

}  // namespace kiln
