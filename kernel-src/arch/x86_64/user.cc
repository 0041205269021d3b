// The program's memory: range checks around the copy routines of user_copy.S. See core/user.hh.
#include "core/user.hh"

#include <algorithm>

#include "core/sched.hh"

extern "C" {
kiln::usize user_copy(void* to, const void* from, kiln::usize size);
kiln::usize user_clear(void* to, kiln::usize size);
kiln::isize user_string_length(const char* at, kiln::usize limit);
kiln::u64 user_load(kiln::u64 address);
kiln::u64 user_exchange(kiln::u64 address, kiln::u32 value);
kiln::u64 user_compare_exchange(kiln::u64 address, kiln::u32 expected, kiln::u32 desired);
}

namespace kiln {
namespace {

// How much of [address, +size) is the program's.
usize user_part(u64 address, usize size) {
    return address >= user_end ? 0 : std::min<u64>(size, user_end - address);
}

template <class T>
T* as_pointer(u64 address) {
    return reinterpret_cast<T*>(address);
}

result<u32> atomic_result(u64 packed) {
    if (packed >> 32 != 0) {
        return err::fault;
    }
    return static_cast<u32>(packed);
}

bool valid_word(u64 address) {
    return address < user_end && is_aligned(address, 4);
}

class no_faults : noncopyable {
public:
    no_faults() { ++current_thread().faults_disabled; }
    ~no_faults() { --current_thread().faults_disabled; }
};

}  // namespace

usize copy_from_user_partial(void* to, u64 from, usize size) {
    const usize allowed = user_part(from, size);
    return allowed - user_copy(to, as_pointer<void>(from), allowed);
}

usize copy_to_user_partial(u64 to, const void* from, usize size) {
    const usize allowed = user_part(to, size);
    return allowed - user_copy(as_pointer<void>(to), from, allowed);
}

result<void> copy_from_user(void* to, u64 from, usize size) {
    return copy_from_user_partial(to, from, size) == size ? result<void>() : err::fault;
}

result<void> copy_to_user(u64 to, const void* from, usize size) {
    return copy_to_user_partial(to, from, size) == size ? result<void>() : err::fault;
}

result<void> clear_user(u64 to, usize size) {
    if (user_part(to, size) != size || user_clear(as_pointer<void>(to), size) != 0) {
        return err::fault;
    }
    return {};
}

usize copy_from_user_nofault(void* to, u64 from, usize size) {
    no_faults guard;
    return copy_from_user_partial(to, from, size);
}

usize copy_to_user_nofault(u64 to, const void* from, usize size) {
    no_faults guard;
    return copy_to_user_partial(to, from, size);
}

result<string> copy_string_from_user(u64 from, usize limit) {
    const usize allowed = user_part(from, limit + 1);
    const isize length = user_string_length(as_pointer<const char>(from), allowed);
    if (length < 0 || (static_cast<usize>(length) == allowed && allowed <= limit)) {
        return err::fault;
    }
    if (static_cast<usize>(length) > limit) {
        return err::nametoolong;
    }
    string text;
    TRY(text.append(std::string_view()));
    char piece[256];
    for (usize done = 0; done < static_cast<usize>(length);) {
        const usize step = std::min(sizeof(piece), static_cast<usize>(length) - done);
        TRY(copy_from_user(piece, from + done, step));
        TRY(text.append({piece, step}));
        done += step;
    }
    return text;
}

result<u32> user_load_u32(u64 address) {
    return valid_word(address) ? atomic_result(user_load(address)) : err::fault;
}

result<u32> user_exchange_u32(u64 address, u32 value) {
    return valid_word(address) ? atomic_result(user_exchange(address, value)) : err::fault;
}

result<u32> user_compare_exchange_u32(u64 address, u32 expected, u32 desired) {
    return valid_word(address) ? atomic_result(user_compare_exchange(address, expected, desired))
                               : err::fault;
}

}  // namespace kiln
