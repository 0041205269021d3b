// Where a read or write takes its bytes from or puts them: a list of ranges in user memory, or one
// range in kernel memory. Moves forward as bytes are copied. May sleep on user memory (core/user.hh).
#pragma once

#include <span>

#include "core/user.hh"
#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

// struct iovec of the Linux ABI.
struct user_iovec {
    u64 base;
    u64 length;
};

class io_vector {
public:
    // The ranges must outlive this; their total is at most 0x7ffff000, as on Linux.
    static io_vector user(std::span<const user_iovec> ranges);
    static io_vector user(user_iovec& single) { return user(std::span<const user_iovec>(&single, 1)); }
    static io_vector kernel(void* data, usize size);
    static io_vector kernel(std::span<const std::byte> data) {
        return kernel(const_cast<std::byte*>(data.data()), data.size());
    }

    usize remaining() const { return _remaining; }
    bool is_user() const { return _is_user; }

    // Copies `size` bytes (no more than remaining) out of kernel memory to the ranges, or from them.
    // Returns how many bytes went; err::fault only when not even one did.
    result<usize> put(const void* from, usize size);
    result<usize> take(void* to, usize size);
    // Zeros into the ranges.
    result<usize> put_zeros(usize size);
    // Goes forward without copying.
    void skip(usize size);
    // Goes back by what was just copied.
    void rewind(usize size);

private:
    template <class Copy>
    result<usize> step(usize size, Copy copy);

    std::span<const user_iovec> _ranges;
    user_iovec _single{};
    usize _index = 0;
    usize _offset = 0;
    usize _remaining = 0;
    bool _is_user = true;
};

}  // namespace kiln
