// The arrays of ranges that readv, writev, sendmsg and their like are given.
#pragma once

#include "core/io_vector.hh"
#include "core/user.hh"
#include "lib/vector.hh"

namespace kiln {

inline constexpr u64 most_ranges = 1024;  // UIO_MAXIOV

// Whether the range may be the program's at all; whether it is mapped shows later.
inline result<void> check_user_range(u64 address, u64 length) {
    return length <= user_end && address <= user_end - length ? result<void>() : err::fault;
}

// Fetches and checks them; few ranges need no allocation. Must outlive the io_vector made of it.
class range_array : noncopyable {
public:
    result<void> fetch(u64 address, u64 count);
    io_vector all() const { return io_vector::user(ranges()); }
    std::span<const user_iovec> ranges() const { return {_ranges, _count}; }

private:
    static constexpr usize inline_count = 8;

    user_iovec _inline[inline_count];
    vector<user_iovec> _many;
    user_iovec* _ranges = _inline;
    usize _count = 0;
};

}  // namespace kiln
