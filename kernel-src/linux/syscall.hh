// How a system call is written: in any file of linux/,
//
//   SYSCALL(pread64, int fd, u64 buffer, usize size, i64 offset) { ... return usize; }
//
// defines it with typed arguments and the return type result<i64>. The table (linux/syscall_table.cc)
// lists every call of Linux x86-64 by number and refers to sys_NAME weakly, so that defining one is
// all that is needed; a call that nobody defines returns ENOSYS and is named once on the console.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "core/user.hh"
#include "lib/result.hh"

namespace kiln {

template <class T>
T syscall_argument(u64 raw) {
    if constexpr (std::integral<T>) {
        return static_cast<T>(raw);
    } else {
        return T(raw);
    }
}

// The value for rax of a call that failed: the negated error. One that asks for the call to be run again
// is resolved on the way back to the program.
i64 failed_syscall(err error);

// The value for rax.
inline i64 syscall_return(result<i64> outcome) {
    return outcome.ok() ? outcome.value() : failed_syscall(outcome.error());
}

template <class... Args>
i64 invoke_syscall(result<i64> (*body)(Args...), const u64 (&raw)[6]) {
    static_assert(sizeof...(Args) <= 6);
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
        return syscall_return(body(syscall_argument<Args>(raw[Index])...));
    }(std::index_sequence_for<Args...>{});
}

}  // namespace kiln

#define SYSCALL(name, ...)                                                                     \
    static ::kiln::result<::kiln::i64> body_of_##name(__VA_ARGS__);                            \
    extern "C" ::kiln::i64 sys_##name(::kiln::u64 a, ::kiln::u64 b, ::kiln::u64 c,             \
                                      ::kiln::u64 d, ::kiln::u64 e, ::kiln::u64 f) {           \
        return ::kiln::invoke_syscall(body_of_##name, {a, b, c, d, e, f});                     \
    }                                                                                          \
    static ::kiln::result<::kiln::i64> body_of_##name(__VA_ARGS__)
