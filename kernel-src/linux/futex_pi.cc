// kernel only: user memory and the thread table.
//
// PI futexes: locks whose word names the owner, so that the kernel can hand them on. Rare, so all
// waiters share one queue (pi_queue.hh) under one sleeping lock; with it held, words are changed
// with plain user accesses, which may fault. The most urgent waiter comes first, inherited
// priorities counted, and the scheduler treats an owner as its most urgent waiter.
//
// Lock order: pi_lock → the address space's (faults). signal_lock only for a moment, inside.
#include "core/mutex.hh"
#include "core/user.hh"
#include "linux/futex.hh"
#include "linux/pi_queue.hh"
#include "linux/process.hh"

namespace kiln {
namespace {

struct lock_waiter : pi_waiter {
    lock_waiter(const futex_key& where, u64 word, task& waiting_task)
        : pi_waiter(where, waiting_task.tid, waiting_task.sched.priority),
          address(word),
          self(waiting_task) {}
    u64 address;
    task& self;
    std::atomic<bool> granted{false};
};

constinit mutex pi_lock;
constinit pi_queue the_queue;
constinit u32 threads_that_inherit = 0;  // pi_lock
constinit std::atomic<u32> waiter_count{0};

lock_waiter* next_waiter(const futex_key& key) {
    return static_cast<lock_waiter*>(the_queue.next(key));
}

void set_inherited(i32 tid, i32 priority) {
    if (priority == 0 && threads_that_inherit == 0) {
        return;
    }
    irq_guard guard(the_process().signal_lock);
    const task* owner = find_task(tid);
    if (owner == nullptr || !owner->owner) {
        return;
    }
    const u32 before = set_inherited_priority(*owner->owner, static_cast<u32>(priority));
    threads_that_inherit += static_cast<u32>(priority != 0) - static_cast<u32>(before != 0);
}

// Who waits for the owner's locks has changed.
void renew_inheritance(i32 owner) {
    the_queue.spread(owner, &set_inherited);
}

void queue_waiter(lock_waiter& waiter, i32 owner) {
    // In this order: whoever changes the priority looks for waiters afterwards.
    waiter_count.fetch_add(1, std::memory_order_seq_cst);
    waiter.priority = waiter.self.sched.priority;
    the_queue.add(waiter, owner);
    renew_inheritance(owner);
}

void take_off(lock_waiter& waiter) {
    the_queue.remove(waiter);
    waiter_count.fetch_sub(1, std::memory_order_relaxed);
}

void make_owner(const futex_key& key, i32 tid) {
    the_queue.set_owner(key, tid);
    renew_inheritance(tid);
}

bool thread_exists(u32 tid) {
    irq_guard guard(the_process().signal_lock);
    return find_task(static_cast<i32>(tid)) != nullptr;
}

// Replaces the word when nobody changed it meanwhile.
result<bool> replace(u64 address, u32 expected, u32 desired) {
    return TRY(user_compare_exchange_u32(address, expected, desired)) == expected;
}

// 0: taken. Else the thread that has it, and the word says that there are waiters.
result<i32> take_or_mark(u64 address, const futex_key& key, u32 tid, bool try_only) {
    for (;;) {
        const u32 found = TRY(user_load_u32(address));
        const u32 owner = found & futex_word::tid_mask;
        const auto known_owner = static_cast<u32>(the_queue.owner_of(key));
        if (owner == tid) {
            return err::deadlk;
        }
        u32 wanted = found | futex_word::waiters;
        if (owner == 0) {
            wanted = tid | (found & futex_word::owner_died) |
                     (known_owner != 0 ? futex_word::waiters : 0);
        } else if (known_owner != 0 && known_owner != owner) {
            return err::inval;  // the program has written another thread into the word
        } else if (!thread_exists(owner)) {
            return err::srch;
        } else if (try_only) {
            return err::again;
        }
        if (found == wanted || TRY(replace(address, found, wanted))) {
            return static_cast<i32>(owner);
        }
    }
}

// Gives the lock to the next waiter, with `extra` bits in the word; under pi_lock.
void hand_on(lock_waiter& heir, u32 extra) {
    const u32 word = static_cast<u32>(heir.self.tid) | futex_word::waiters | extra;
    static_cast<void>(user_exchange_u32(heir.address, word));
    const i32 former_owner = heir.owner;
    take_off(heir);
    make_owner(heir.key, heir.waiting);
    thread& sleeper = *heir.self.owner;
    heir.granted.store(true, std::memory_order_release);
    unpark(sleeper);
    renew_inheritance(former_owner);
}

result<void> sleep_for_lock(lock_waiter& waiter, u64 deadline) {
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
    lock_waiter waiter(key, address, self);
    {
        lock_guard guard(pi_lock);
        const i32 owner = TRY(take_or_mark(address, key, static_cast<u32>(self.tid), try_only));
        if (owner == 0) {
            const i32 former_owner = the_queue.owner_of(key);
            make_owner(key, self.tid);
            renew_inheritance(former_owner);
            return 0;
        }
        if (the_queue.closes_circle(self.tid, owner)) {
            return err::deadlk;
        }
        queue_waiter(waiter, owner);
    }
    const result<void> outcome = sleep_for_lock(waiter, deadline);
    lock_guard guard(pi_lock);
    if (waiter.granted.load(std::memory_order_acquire)) {
        return 0;
    }
    const i32 owner = waiter.owner;
    take_off(waiter);
    renew_inheritance(owner);
    return outcome.error();
}

bool has_pi_waiters(const futex_key& key) {
    if (waiter_count.load(std::memory_order_relaxed) == 0) {
        return false;
    }
    lock_guard guard(pi_lock);
    return the_queue.next(key) != nullptr;
}

void renew_pi_priority(i32 tid) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (waiter_count.load(std::memory_order_relaxed) == 0) {
        return;
    }
    lock_guard guard(pi_lock);
    i32 priority = 0;
    {
        irq_guard signals(the_process().signal_lock);
        const task* changed = find_task(tid);
        priority = changed == nullptr ? 0 : changed->sched.priority;
    }
    renew_inheritance(the_queue.set_priority(tid, priority));
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
        if (lock_waiter* heir = next_waiter(key)) {
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
    // Private and shared locks at one address are two; the word belongs to one of them.
    for (const bool shared : {false, true}) {
        const result<futex_key> key = futex_key_of(address, shared);
        if (lock_waiter* heir = key.ok() ? next_waiter(key.value()) : nullptr) {
            hand_on(*heir, futex_word::owner_died);
            return;
        }
    }
    static_cast<void>(user_compare_exchange_u32(address, found.value(), futex_word::owner_died));
}

void abandon_all_pi_locks(i32 dead_tid) {
    lock_guard guard(pi_lock);
    while (auto* waiter = static_cast<lock_waiter*>(the_queue.waiter_on(dead_tid))) {
        hand_on(*next_waiter(waiter->key), futex_word::owner_died);
    }
}

}  // namespace kiln
