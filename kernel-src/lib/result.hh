// Errors are values: `result<T>` holds a T or an `err`, and TRY passes an error up.
//
// The numbers are Linux's (include/uapi/asm-generic/errno*.h), so that a system call returns
// `-int(error)` as it is. Numbers from 512 are the kernel's own: they tell the system-call exit path
// how a call that a signal interrupted goes on, and never reach a program.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "lib/types.hh"

namespace kiln {

enum class err : int {
    perm = 1, noent = 2, srch = 3, intr = 4, io = 5, nxio = 6, too_big = 7, noexec = 8, badf = 9,
    child = 10, again = 11, nomem = 12, acces = 13, fault = 14, notblk = 15, busy = 16, exist = 17,
    xdev = 18, nodev = 19, notdir = 20, isdir = 21, inval = 22, nfile = 23, mfile = 24, notty = 25,
    txtbsy = 26, fbig = 27, nospc = 28, spipe = 29, rofs = 30, mlink = 31, pipe = 32, dom = 33,
    range = 34, deadlk = 35, nametoolong = 36, nolck = 37, nosys = 38, notempty = 39, loop = 40, idrm = 43,
    nodata = 61, time = 62, proto = 71, badmsg = 74, overflow = 75, ilseq = 84, users = 87,
    notsock = 88, destaddrreq = 89, msgsize = 90, prototype = 91, noprotoopt = 92,
    protonosupport = 93, socktnosupport = 94, opnotsupp = 95, pfnosupport = 96, afnosupport = 97,
    addrinuse = 98, addrnotavail = 99, netdown = 100, netunreach = 101, netreset = 102,
    connaborted = 103, connreset = 104, nobufs = 105, isconn = 106, notconn = 107, shutdown = 108,
    timedout = 110, connrefused = 111, hostdown = 112, hostunreach = 113, already = 114,
    inprogress = 115, stale = 116, dquot = 122, canceled = 125, ownerdead = 130,
    notrecoverable = 131,

    // A signal interrupted the call. restart_sys: restart if the handler has SA_RESTART, else EINTR.
    // restart_nohand: restart only when no handler runs. restart_nointr: always restart.
    // restart_block: go on with what restart_later (linux/restart.hh) has stored, unless a handler runs.
    restart_sys = 512, restart_nointr = 513, restart_nohand = 514, restart_block = 516,
};

template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    result(err error) : _error(error) {}  // NOLINT(google-explicit-constructor)

    template <class U = T>
        requires std::is_constructible_v<T, U&&> && (!std::is_same_v<std::remove_cvref_t<U>, result>) &&
                 (!std::is_same_v<std::remove_cvref_t<U>, err>)
    result(U&& value) : _error(err{0}) {  // NOLINT(google-explicit-constructor)
        new (&_value) T(std::forward<U>(value));
    }

    result(result&& other) noexcept : _error(other._error) {
        if (ok()) {
            new (&_value) T(std::move(other._value));
        }
    }
    result(const result&) = delete;
    result& operator=(const result&) = delete;
    result& operator=(result&& other) noexcept {
        if (this != &other) {
            this->~result();
            new (this) result(std::move(other));
        }
        return *this;
    }
    ~result() {
        if (ok()) {
            _value.~T();
        }
    }

    bool ok() const { return _error == err{0}; }
    explicit operator bool() const { return ok(); }
    err error() const { return _error; }
    T& value() & { return _value; }
    const T& value() const& { return _value; }
    T&& value() && { return std::move(_value); }
    T take() { return std::move(_value); }
    T value_or(T fallback) && { return ok() ? std::move(_value) : std::move(fallback); }

private:
    err _error;
    union {
        T _value;
    };
};

template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;
    result() = default;
    result(err error) : _error(error) {}  // NOLINT(google-explicit-constructor)
    bool ok() const { return _error == err{0}; }
    explicit operator bool() const { return ok(); }
    err error() const { return _error; }
    void take() {}

private:
    err _error{0};
};

}  // namespace kiln

// Evaluates `expression` (a result); returns its error from the enclosing function, else yields
// the value. A GNU statement expression, which g++ and clang++ both have.
#define TRY(expression)                        \
    ({                                         \
        auto kiln_try_result = (expression);   \
        if (!kiln_try_result.ok()) [[unlikely]] \
            return kiln_try_result.error();    \
        kiln_try_result.take();                \
    })
