#include "core/io_vector.hh"

#include <algorithm>

namespace kiln {
namespace {

constexpr usize max_transfer = 0x7fff'f000;

}  // namespace

io_vector io_vector::user(std::span<const user_iovec> ranges) {
    io_vector made;
    made._ranges = ranges;
    usize total = 0;
    for (const user_iovec& range : ranges) {
        total = std::min<usize>(max_transfer, total + std::min<u64>(range.length, max_transfer));
    }
    made._remaining = total;
    return made;
}

io_vector io_vector::kernel(void* data, usize size) {
    io_vector made;
    made._single = {reinterpret_cast<u64>(data), size};
    made._remaining = size;
    made._is_user = false;
    return made;
}

// Calls `copy(address, done, length)` for each piece; it returns how many bytes it managed.
template <class Copy>
result<usize> io_vector::step(usize size, Copy copy) {
    size = std::min(size, _remaining);
    usize done = 0;
    while (done < size) {
        const user_iovec& range = _is_user ? _ranges[_index] : _single;
        const usize length = std::min<usize>(size - done, range.length - _offset);
        const usize copied = length == 0 ? 0 : copy(range.base + _offset, done, length);
        done += copied;
        _offset += copied;
        _remaining -= copied;
        if (copied < length) {
            break;
        }
        if (_offset == range.length && done < size) {
            ++_index;
            _offset = 0;
        }
    }
    if (done == 0 && size != 0) {
        return err::fault;
    }
    return done;
}

result<usize> io_vector::put(const void* from, usize size) {
    return step(size, [&](u64 to, usize done, usize length) {
        const auto* source = static_cast<const std::byte*>(from) + done;
        if (_is_user) {
            return copy_to_user_partial(to, source, length);
        }
        __builtin_memcpy(reinterpret_cast<void*>(to), source, length);
        return length;
    });
}

result<usize> io_vector::take(void* to, usize size) {
    return step(size, [&](u64 from, usize done, usize length) {
        auto* target = static_cast<std::byte*>(to) + done;
        if (_is_user) {
            return copy_from_user_partial(target, from, length);
        }
        __builtin_memcpy(target, reinterpret_cast<const void*>(from), length);
        return length;
    });
}

result<usize> io_vector::put_zeros(usize size) {
    return step(size, [&](u64 to, usize, usize length) {
        if (_is_user) {
            return clear_user(to, length).ok() ? length : usize{0};
        }
        __builtin_memset(reinterpret_cast<void*>(to), 0, length);
        return length;
    });
}

void io_vector::skip(usize size) {
    static_cast<void>(step(size, [](u64, usize, usize length) { return length; }));
}

void io_vector::rewind(usize size) {
    _remaining += size;
    while (size > _offset) {
        size -= _offset;
        --_index;
        _offset = _ranges[_index].length;
    }
    _offset -= size;
}

}  // namespace kiln
