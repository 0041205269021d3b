// kernel only: user memory without faulting, and the address space.
//
// futex(2) and futex_waitv(2). A word is compared under the bucket's lock with a copy that does not
// fault; where the page is not there, the lock is dropped, the page faulted in, and all tried again.
#include "linux/futex.hh"

#include "core/user.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

constinit futex_table the_table;

namespace op {
inline constexpr u32 wait = 0, wake = 1, requeue = 3, cmp_requeue = 4, wake_op = 5, lock_pi = 6,
                     unlock_pi = 7, trylock_pi = 8, wait_bitset = 9, wake_bitset = 10,
                     wait_requeue_pi = 11, cmp_requeue_pi = 12, lock_pi2 = 13;
inline constexpr u32 private_flag = 128, clock_realtime = 256;
inline constexpr u32 command_mask = ~(private_flag | clock_realtime);
}

struct futex_call {
    u64 address;
    u32 command;
    u32 value;
    u64 timeout_or_value2;
    u64 address2;
    u32 value3;
    bool shared;
    bool realtime;
};

// A check for the futex table: whether the word still has the value; err::fault if it is not there.
auto word_equals(u64 address, u32 value) {
    return [address, value]() -> result<bool> {
        u32 found = 0;
        if (copy_from_user_nofault(&found, address, sizeof(found)) != sizeof(found)) {
            return err::fault;
        }
        return found == value;
    };
}

// Runs `attempt` until it does not fail for a page that has to be brought in first.
template <class Attempt>
auto with_page_present(u64 address, Attempt attempt) -> decltype(attempt()) {
    for (;;) {
        auto outcome = attempt();
        if (outcome.ok() || outcome.error() != err::fault) {
            return outcome;
        }
        TRY(user_load_u32(address));
    }
}

result<void> wait_once(futex_key key, u64 address, u32 value, u32 bits, u64 deadline) {
    futex_waiter waiter(key, bits);
    waiter.priority = current_task()->sched.priority;
    TRY(with_page_present(address, [&] {
        return the_table.enqueue(waiter, word_equals(address, value));
    }));
    return the_table.sleep(waiter, deadline);
}

result<i64> resume_wait(const restart_block& saved);

// Without a time-out the call starts again as it was; with one, the deadline is kept.
result<i64> wait_on(u64 address, bool shared, u32 value, u32 bits, u64 deadline) {
    if (bits == 0) {
        return err::inval;
    }
    const futex_key key = TRY(futex_key_of(address, shared));
    const result<void> outcome = wait_once(key, address, value, bits, deadline);
    if (outcome.ok()) {
        return 0;
    }
    if (outcome.error() != err::intr) {
        return outcome.error();
    }
    if (deadline == never) {
        return err::restart_sys;
    }
    return restart_later(&resume_wait, {address, shared, value, bits, deadline, 0});
}

result<i64> resume_wait(const restart_block& saved) {
    const u64(&a)[6] = saved.arguments;
    return wait_on(a[0], a[1] != 0, static_cast<u32>(a[2]), static_cast<u32>(a[3]), a[4]);
}

result<i64> wake(const futex_call& call, u32 bits) {
    if (bits == 0) {
        return err::inval;
    }
    const futex_key key = TRY(futex_key_of(call.address, call.shared));
    // Linux wakes one also when asked for none.
    const i32 count = static_cast<i32>(call.value);
    if (has_pi_waiters(key)) {
        return err::inval;
    }
    return TRY(the_table.wake(key, count < 1 ? 1 : static_cast<u32>(count), bits));
}

result<i64> requeue(const futex_call& call, bool compare) {
    const auto move_count = static_cast<i32>(call.timeout_or_value2);
    if (static_cast<i32>(call.value) < 0 || move_count < 0) {
        return err::inval;
    }
    const futex_key from = TRY(futex_key_of(call.address, call.shared));
    const futex_key to = TRY(futex_key_of(call.address2, call.shared));
    if (has_pi_waiters(from)) {
        return err::inval;
    }
    const u32 done = TRY(with_page_present(call.address, [&]() -> result<u32> {
        auto check = word_equals(call.address, call.value3);
        return the_table.requeue(from, to, call.value, static_cast<u32>(move_count),
                                 [&]() -> result<bool> { return compare ? check() : true; });
    }));
    return done;
}

// FUTEX_OP: operation, comparison and their operands are packed into value3.
struct wake_operation {
    u32 operation, comparison;
    i32 operand, compared;

    explicit wake_operation(u32 packed)
        : operation(packed >> 28),
          comparison((packed >> 24) & 15),
          operand(static_cast<i32>(packed << 8) >> 20),
          compared(static_cast<i32>(packed << 20) >> 20) {
        if ((operation & 8) != 0) {
            operand = static_cast<i32>(1u << (static_cast<u32>(operand) & 31));
            operation &= 7;
        }
    }

    result<u32> apply(u32 old) const {
        const auto by = static_cast<u32>(operand);
        switch (operation) {
        case 0: return by;
        case 1: return old + by;
        case 2: return old | by;
        case 3: return old & ~by;
        case 4: return old ^ by;
        default: return err::nosys;
        }
    }

    result<bool> holds(u32 found) const {
        const auto old = static_cast<i32>(found);
        switch (comparison) {
        case 0: return old == compared;
        case 1: return old != compared;
        case 2: return old < compared;
        case 3: return old <= compared;
        case 4: return old > compared;
        case 5: return old >= compared;
        default: return err::nosys;
        }
    }
};

// The word changes before anybody is woken. A waiter that queues in between has seen the new value or
// is woken for nothing, which futex users must expect.
result<i64> wake_op(const futex_call& call) {
    const wake_operation operation(call.value3);
    const futex_key first = TRY(futex_key_of(call.address, call.shared));
    const futex_key second = TRY(futex_key_of(call.address2, call.shared));
    u32 old = TRY(user_load_u32(call.address2));
    for (;;) {
        const u32 wanted = TRY(operation.apply(old));
        const u32 found = TRY(user_compare_exchange_u32(call.address2, old, wanted));
        if (found == old) {
            break;
        }
        old = found;
    }
    if (has_pi_waiters(first) || has_pi_waiters(second)) {
        return err::inval;
    }
    u32 woken = TRY(the_table.wake(first, call.value < 1 ? 1 : call.value));
    if (TRY(operation.holds(old))) {
        const auto more = static_cast<u32>(call.timeout_or_value2);
        woken += TRY(the_table.wake(second, more < 1 ? 1 : more));
    }
    return woken;
}

result<i64> wait_requeue_pi(const futex_call& call, u64 deadline) {
    if (call.address == call.address2) {
        return err::inval;
    }
    futex_waiter waiter(TRY(futex_key_of(call.address, call.shared)), ~u32{0});
    waiter.requeue_target = TRY(futex_key_of(call.address2, call.shared));
    waiter.wants_requeue = true;
    waiter.priority = current_task()->sched.priority;
    TRY(with_page_present(call.address, [&] {
        return the_table.enqueue(waiter, word_equals(call.address, call.value));
    }));
    const result<void> outcome = the_table.sleep(waiter, deadline);
    if (!outcome.ok()) {
        return outcome.error() == err::intr ? err::again : outcome.error();
    }
    return lock_pi(call.address2, call.shared, deadline, false);
}

// Whom Linux would move to the lock's queue is woken here and queues for the lock itself.
result<i64> cmp_requeue_pi(const futex_call& call) {
    const auto move_count = static_cast<i32>(call.timeout_or_value2);
    if (call.value != 1 || move_count < 0 || call.address == call.address2) {
        return err::inval;
    }
    const futex_key from = TRY(futex_key_of(call.address, call.shared));
    const futex_key target = TRY(futex_key_of(call.address2, call.shared));
    const u32 done = TRY(with_page_present(call.address, [&] {
        return the_table.wake_for_requeue(from, target, 1 + static_cast<u32>(move_count),
                                          word_equals(call.address, call.value3));
    }));
    return done;
}

bool has_timeout(u32 command) {
    return command == op::wait || command == op::wait_bitset || command == op::lock_pi ||
           command == op::lock_pi2 || command == op::wait_requeue_pi;
}

// FUTEX_WAIT's is relative; all others are absolute, FUTEX_LOCK_PI's always on the realtime clock.
result<u64> read_deadline(const futex_call& call) {
    if (!has_timeout(call.command) || call.timeout_or_value2 == 0) {
        return never;
    }
    const u64 time = TRY(read_duration(call.timeout_or_value2));
    if (call.command == op::wait) {
        return deadline_after(time);
    }
    if (call.command == op::lock_pi || call.realtime) {
        return deadline_of_realtime(time);
    }
    return time;
}

result<i64> run(const futex_call& call, u64 deadline) {
    switch (call.command) {
    case op::wait:
        return wait_on(call.address, call.shared, call.value, ~u32{0}, deadline);
    case op::wait_bitset:
        return wait_on(call.address, call.shared, call.value, call.value3, deadline);
    case op::wake: return wake(call, ~u32{0});
    case op::wake_bitset: return wake(call, call.value3);
    case op::requeue: return requeue(call, false);
    case op::cmp_requeue: return requeue(call, true);
    case op::wake_op: return wake_op(call);
    case op::lock_pi:
    case op::lock_pi2: return lock_pi(call.address, call.shared, deadline, false);
    case op::trylock_pi: return lock_pi(call.address, call.shared, never, true);
    case op::unlock_pi: return unlock_pi(call.address, call.shared);
    case op::wait_requeue_pi: return wait_requeue_pi(call, deadline);
    case op::cmp_requeue_pi: return cmp_requeue_pi(call);
    default: return err::nosys;
    }
}

}  // namespace

futex_table& the_futexes() {
    return the_table;
}

result<futex_key> futex_key_of(u64 address, bool shared) {
    if (!is_aligned(address, sizeof(u32))) {
        return err::inval;
    }
    if (address >= user_end) {
        return err::fault;
    }
    if (!shared) {
        return futex_key{nullptr, address};
    }
    const address_space::location place = TRY(the_address_space().locate(address));
    // The object stays while the mapping does; a waiter on memory that was unmapped is on its own.
    // As on Linux, a private futex and a shared one at the same address are two.
    static const char not_shared_memory = 0;
    const void* object = place.object ? static_cast<const void*>(place.object.get()) : &not_shared_memory;
    return futex_key{object, place.offset};
}

SYSCALL(futex, u64 address, u32 operation, u32 value, u64 timeout_or_value2, u64 address2,
        u32 value3) {
    const u32 command = operation & op::command_mask;
    const bool realtime = (operation & op::clock_realtime) != 0;
    if (realtime && command != op::wait_bitset && command != op::wait_requeue_pi &&
        command != op::lock_pi2) {
        return err::nosys;
    }
    const futex_call call{.address = address,
                          .command = command,
                          .value = value,
                          .timeout_or_value2 = timeout_or_value2,
                          .address2 = address2,
                          .value3 = value3,
                          .shared = (operation & op::private_flag) == 0,
                          .realtime = realtime};
    return run(call, TRY(read_deadline(call)));
}

namespace {

struct user_waitv {
    u64 value;
    u64 address;
    u32 flags;
    u32 reserved;
};
inline constexpr u32 waitv_limit = 128;
inline constexpr u32 waitv_size_u32 = 2;

// Several words at once: the waiters of one call.
class waiter_group : noncopyable {
public:
    ~waiter_group() { leave(); }

    result<void> enter(std::span<const user_waitv> wanted) {
        TRY(_waiters.reserve(wanted.size()));
        for (const user_waitv& each : wanted) {
            TRY(enter_one(each));
        }
        return {};
    }

    // The lowest number of a waiter that was woken, after all have been dequeued; -1 for none.
    int leave() {
        int first = -1;
        for (usize i = _waiters.size(); i-- > 0;) {
            if (the_table.dequeue(*_waiters[i])) {
                first = static_cast<int>(i);
            }
        }
        return first;
    }

    bool any_woken() const {
        for (const unique<futex_waiter>& each : _waiters) {
            if (each->woken.load(std::memory_order_acquire)) {
                return true;
            }
        }
        return false;
    }

private:
    result<void> enter_one(const user_waitv& wanted) {
        if ((wanted.flags & ~(op::private_flag | waitv_size_u32)) != 0 || wanted.reserved != 0 ||
            (wanted.flags & waitv_size_u32) == 0) {
            return err::inval;
        }
        const bool shared = (wanted.flags & op::private_flag) == 0;
        const futex_key key = TRY(futex_key_of(wanted.address, shared));
        unique<futex_waiter> made = TRY(make_unique<futex_waiter>(key));
        made->priority = current_task()->sched.priority;
        TRY(with_page_present(wanted.address, [&] {
            return the_table.enqueue(*made, word_equals(wanted.address, static_cast<u32>(wanted.value)));
        }));
        return _waiters.push_back(std::move(made));
    }

    vector<unique<futex_waiter>> _waiters;
};

result<u64> waitv_deadline(u64 timeout_address, i32 clock) {
    if (timeout_address == 0) {
        return never;
    }
    if (clock != 0 && clock != 1) {  // CLOCK_REALTIME, CLOCK_MONOTONIC
        return err::inval;
    }
    const u64 time = TRY(read_duration(timeout_address));
    return clock == 0 ? deadline_of_realtime(time) : time;
}

}  // namespace

SYSCALL(futex_waitv, u64 list_address, u32 count, u32 flags, u64 timeout_address, i32 clock) {
    if (flags != 0 || count == 0 || count > waitv_limit || list_address == 0) {
        return err::inval;
    }
    const u64 deadline = TRY(waitv_deadline(timeout_address, clock));
    vector<user_waitv> wanted;
    TRY(wanted.resize(count));
    TRY(user_ptr<user_waitv>(list_address).read_array(wanted));
    waiter_group group;
    const result<void> entered = group.enter(wanted);
    if (!entered.ok()) {
        // Somebody may have been woken while the rest was being queued.
        const int woken = group.leave();
        return woken >= 0 ? result<i64>(woken) : entered.error();
    }
    while (!group.any_woken() && !interrupted() && (deadline == never || now() < deadline)) {
        park_interruptible(deadline);
    }
    const int woken = group.leave();
    if (woken >= 0) {
        return woken;
    }
    return interrupted() ? err::restart_sys : err::timedout;
}

}  // namespace kiln
