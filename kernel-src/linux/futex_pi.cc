// kernel only: user memory and the thread table.
//
// PI futexes: locks whose word names the owner, so that the kernel can hand them on. Rare, so all
// waiters share one list under one sleeping lock; with it held, words are changed with plain user
// accesses, which may fault. The waiter with the highest real-time priority comes first.
// Differs from Linux: the owner does not inherit the waiter's priority (the scheduler is fair to all).
//
// Lock order: pi_lock → the address space's (faults). signal_lock only for a moment, inside.
#include "core/mutex.hh"
#include "core/user.hh"
#include "linux/futex.hh"
#include "linux/process.hh"

namespace kiln {
namespace {

struct pi_waiter : noncopyable {
    pi_waiter(const futex_key& where, u64 word, task& waiting)
        : key(where), address(word), self(waiting) {}
    list_node link;
    futex_key key;
    u64 address;
    task& self;
    std::atomic<bool> granted{false};
};

constinit mutex pi_lock;
constinit list<pi_waiter, &pi_waiter::link> pi_waiters;

pi_waiter* next_waiter(const futex_key& key) {
    pi_waiter* best = nullptr;
    for (pi_waiter& each : pi_waiters) {
        if (each.key == key &&
            (best == nullptr || each.self.sched.priority > best->self.sched.priority)) {
            best = &each;
        }
    }
    return best;
}

bool thread_exists(u32 tid) {
    irq_guard guard(the_process().signal_lock);
    return find_task(static_cast<i32>(tid)) != nullptr;
}

// Replaces the word when nobody changed it meanwhile.
result<bool> replace(u64 address, u32 expected, u32 desired) {
    return TRY(user_compare_exchange_u32(address, expected, desired)) == expected;
}

// True: taken. False: held by another, and the word says that there are waiters.
result<bool> take_or_mark(u64 address, const futex_key& key, u32 tid, bool try_only) {
    for (;;) {
        const u32 found = TRY(user_load_u32(address));
        const u32 owner = found & futex_word::tid_mask;
        if (owner == tid) {
            return err::deadlk;
        }
        u32 wanted = found | futex_word::waiters;
        if (owner == 0) {
            wanted = tid | (found & futex_word::owner_died) |
                     (next_waiter(key) != nullptr ? futex_word::waiters : 0);
        } else if (!thread_exists(owner)) {
            return err::srch;
        } else if (try_only) {
            return err::again;
        }
        if (found == wanted || TRY(replace(address, found, wanted))) {
            return owner == 0;
        }
    }
}

// Gives the lock to the next waiter, with `extra` bits in the word; under pi_lock.
void hand_on(pi_waiter& heir, u32 extra) {
    const u32 word = static_cast<u32>(heir.self.tid) | futex_word::waiters | extra;
    static_cast<void>(user_exchange_u32(heir.address, word));
    list<pi_waiter, &pi_waiter::link>::remove(heir);
    thread& sleeper = *heir.self.owner;
    heir.granted.store(true, std::memory_order_release);
    unpark(sleeper);
}

result<void> sleep_for_lock(pi_waiter& waiter, u64 deadline) {
    while (!waiter.granted.load(std::memory_order_acquire)) {
        if (deadline != never && now() >= deadline) {
            return err::timedout;
        }
        if (interrupted()) {
            return err::restart_nointr;
        }
        park_interruptible(deadline);
    }
    return {};
}

}  // namespace

result<i64> lock_pi(u64 address, bool shared, u64 deadline, bool try_only) {
    const futex_key key = TRY(futex_key_of(address, shared));
    task& self = *current_task();
    pi_waiter waiter(key, address, self);
    {
        lock_guard guard(pi_lock);
        if (TRY(take_or_mark(address, key, static_cast<u32>(self.tid), try_only))) {
            return 0;
        }
        pi_waiters.push_back(waiter);
    }
    const result<void> outcome = sleep_for_lock(waiter, deadline);
    lock_guard guard(pi_lock);
    if (waiter.granted.load(std::memory_order_acquire)) {
        return 0;
    }
    list<pi_waiter, &pi_waiter::link>::remove(waiter);
    return outcome.error();
}

result<i64> unlock_pi(u64 address, bool shared) {
    const futex_key key = TRY(futex_key_of(address, shared));
    const u32 tid = static_cast<u32>(current_task()->tid);
    lock_guard guard(pi_lock);
    for (;;) {
        const u32 found = TRY(user_load_u32(address));
        if ((found & futex_word::tid_mask) != tid) {
            return err::perm;
        }
        if (pi_waiter* heir = next_waiter(key)) {
            hand_on(*heir, 0);
            return 0;
        }
        if (TRY(replace(address, found, 0))) {
            return 0;
        }
    }
}

void abandon_pi_lock(u64 address, i32 dead_tid) {
    lock_guard guard(pi_lock);
    result<u32> found = user_load_u32(address);
    if (!found.ok() || (found.value() & futex_word::tid_mask) != static_cast<u32>(dead_tid)) {
        return;
    }
    for (pi_waiter& each : pi_waiters) {
        if (each.address == address) {
            hand_on(*next_waiter(each.key), futex_word::owner_died);
            return;
        }
    }
    static_cast<void>(user_compare_exchange_u32(address, found.value(), futex_word::owner_died));
}

void abandon_all_pi_locks(i32 dead_tid) {
    for (;;) {
        u64 address = 0;
        {
            lock_guard guard(pi_lock);
            for (pi_waiter& each : pi_waiters) {
                result<u32> word = user_load_u32(each.address);
                if (word.ok() &&
                    (word.value() & futex_word::tid_mask) == static_cast<u32>(dead_tid)) {
                    address = each.address;
                    break;
                }
            }
        }
        if (address == 0) {
            return;
        }
        abandon_pi_lock(address, dead_tid);
    }
}

}  // namespace kiln
