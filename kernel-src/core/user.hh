// Access to the application's memory. The only way to it: kernel addresses do not fault in ring 0, so
// the range is checked first, and a fault below the kernel's half is turned into err::fault.
//
// May sleep (demand paging), so never under a spin lock, and never under a lock that the page-fault
// path takes (address space, page cache, block devices).
#pragma once

#include <span>
#include <string_view>
#include <type_traits>

#include "lib/result.hh"
#include "lib/string.hh"
#include "lib/types.hh"

namespace kiln {

// The first address that is not the application's (47 bits, as Linux with 4-level page tables).
inline constexpr u64 user_end = 0x0000'7fff'ffff'f000;

result<void> copy_from_user(void* to, u64 from, usize size);
result<void> copy_to_user(u64 to, const void* from, usize size);
result<void> clear_user(u64 to, usize size);
// As above, but they say how many bytes went before the fault (Linux returns short counts then).
usize copy_from_user_partial(void* to, u64 from, usize size);
usize copy_to_user_partial(u64 to, const void* from, usize size);
// Never sleep: stop at the first page that is not present. For use where faults must not be taken.
usize copy_from_user_nofault(void* to, u64 from, usize size);
usize copy_to_user_nofault(u64 to, const void* from, usize size);

// Reads a NUL-terminated string of at most `limit` bytes without the NUL; err::nametoolong beyond.
result<string> copy_string_from_user(u64 from, usize limit);

// Atomic operations on a user word that is 4-byte aligned; err::fault when it is not mapped.
result<u32> user_load_u32(u64 address);
// Returns the old value.
result<u32> user_exchange_u32(u64 address, u32 value);
// Returns the value found; it was replaced when it equals `expected`.
result<u32> user_compare_exchange_u32(u64 address, u32 expected, u32 desired);

// A system call's pointer argument to T, typed and unread.
template <class T>
class user_ptr {
public:
    static_assert(std::is_trivially_copyable_v<T>);
    constexpr user_ptr() = default;
    constexpr explicit user_ptr(u64 address) : _address(address) {}

    u64 address() const { return _address; }
    bool is_null() const { return _address == 0; }
    explicit operator bool() const { return _address != 0; }
    user_ptr at(usize index) const { return user_ptr(_address + index * sizeof(T)); }

    result<T> read() const {
        T value;
        TRY(copy_from_user(&value, _address, sizeof(T)));
        return value;
    }
    result<void> write(const T& value) const { return copy_to_user(_address, &value, sizeof(T)); }
    result<void> read_array(std::span<T> to) const {
        return copy_from_user(to.data(), _address, to.size_bytes());
    }
    result<void> write_array(std::span<const T> from) const {
        return copy_to_user(_address, from.data(), from.size_bytes());
    }

private:
    u64 _address = 0;
};

}  // namespace kiln
