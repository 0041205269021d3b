#include "fs/eventfd.hh"

#include "lib/format.hh"

namespace kiln {
namespace {

constexpr u64 largest = ~u64{0} - 1;

class eventfd_file final : public file {
public:
    eventfd_file(u64 value, bool semaphore, u32 flags)
        : file(flags), _value(value), _semaphore(semaphore) {}

    result<usize> read(io_vector& to, u64&) override;
    result<usize> write(io_vector& from, u64&) override;
    result<u64> seek(i64, int) override { return u64{0}; }
    u32 poll_events() override;
    wait_queue* poll_queue() override { return &_waiters; }
    result<usize> describe(std::span<char> to) override {
        return format_to(to, "anon_inode:[eventfd]");
    }

private:
    bool try_take(u64& taken);
    bool try_add(u64 added);
    template <class Condition>
    result<void> wait(Condition condition);

    std::atomic<u64> _value;
    const bool _semaphore;
    wait_queue _waiters;
};

bool eventfd_file::try_take(u64& taken) {
    u64 value = _value.load(std::memory_order_relaxed);
    do {
        if (value == 0) {
            return false;
        }
        taken = _semaphore ? 1 : value;
    } while (!_value.compare_exchange_weak(value, value - taken));
    return true;
}

bool eventfd_file::try_add(u64 added) {
    u64 value = _value.load(std::memory_order_relaxed);
    do {
        if (added > largest - value) {
            return false;
        }
    } while (!_value.compare_exchange_weak(value, value + added));
    return true;
}

template <class Condition>
result<void> eventfd_file::wait(Condition condition) {
    if (condition()) {
        return {};
    }
    if (nonblocking()) {
        return err::again;
    }
    result<void> outcome = wait_until(_waiters, condition);
    return !outcome.ok() && outcome.error() == err::intr ? result<void>(err::restart_sys)
                                                         : std::move(outcome);
}

result<usize> eventfd_file::read(io_vector& to, u64&) {
    u64 taken = 0;
    if (to.remaining() < sizeof(taken)) {
        return err::inval;
    }
    TRY(wait([&] { return try_take(taken); }));
    _waiters.wake(poll_event::out | poll_event::wrnorm);
    return to.put(&taken, sizeof(taken));
}

result<usize> eventfd_file::write(io_vector& from, u64&) {
    u64 added = 0;
    if (from.remaining() < sizeof(added)) {
        return err::inval;
    }
    if (TRY(from.take(&added, sizeof(added))) != sizeof(added)) {
        return err::fault;
    }
    if (added > largest) {
        return err::inval;
    }
    TRY(wait([&] { return try_add(added); }));
    _waiters.wake(poll_event::in | poll_event::rdnorm);
    return sizeof(added);
}

u32 eventfd_file::poll_events() {
    const u64 value = _value.load(std::memory_order_acquire);
    return (value != 0 ? poll_event::in | poll_event::rdnorm : 0) |
           (value < largest ? poll_event::out | poll_event::wrnorm : 0);
}

}  // namespace

result<ref<file>> make_eventfd(u64 value, bool semaphore, u32 flags) {
    return TRY(
        make_ref<eventfd_file>(value, semaphore, open_flag::rdwr | (flags & open_flag::nonblock)));
}

}  // namespace kiln
