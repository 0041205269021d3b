// Who waits on which futex: a hash table of buckets, each with a spin lock, and threads that park.
// Pure queue logic; what is in the user's words is checked by callbacks. Tested on the host.
//
// A waiter lives on its thread's stack and is queued in at most one bucket. A wake-up takes it off and
// unparks under the bucket's lock, and the waiter takes that lock once more before it goes, so that
// neither the waiter nor its thread can vanish under the waker.
// Locks: bucket locks; two of them in the order of their addresses. Innermost but for the scheduler's.
#pragma once

#include <atomic>

#include "core/clock.hh"
#include "core/park.hh"
#include "core/spinlock.hh"
#include "lib/list.hh"
#include "lib/result.hh"

namespace kiln {

// A place in memory: an object and an offset in it, or null and the address.
struct futex_key {
    const void* object = nullptr;
    u64 offset = 0;
    bool operator==(const futex_key&) const = default;
};

struct futex_bucket;

struct futex_waiter : noncopyable {
    futex_waiter(const futex_key& where, u32 wanted_bits = ~u32{0})
        : key(where), bits(wanted_bits), sleeper(&current_thread()) {}

    list_node link;
    futex_key key;
    u32 bits;
    i32 priority = 0;  // real-time, 1 to 99: the highest is woken first
    // For FUTEX_WAIT_REQUEUE_PI: the lock that it wants next.
    futex_key requeue_target;
    bool wants_requeue = false;
    thread* sleeper;
    std::atomic<futex_bucket*> bucket{nullptr};
    std::atomic<bool> woken{false};
};

struct futex_bucket {
    spinlock lock;
    list<futex_waiter, &futex_waiter::link> waiters;

    void add(futex_waiter& waiter);
    // Whether a waiter of the key wants a PI lock next, so that only FUTEX_CMP_REQUEUE_PI may wake it.
    bool wants_requeue(const futex_key& key);
};

class futex_table : noncopyable {
public:
    constexpr futex_table() = default;

    // Queues the waiter if `check()`, called under the bucket's lock, returns true; its error or, for
    // false, err::again otherwise. The check must not sleep.
    template <class Check>
    result<void> enqueue(futex_waiter& waiter, Check check) {
        futex_bucket& bucket = bucket_of(waiter.key);
        lock_guard guard(bucket.lock);
        if (!TRY(check())) {
            return err::again;
        }
        waiter.bucket.store(&bucket, std::memory_order_relaxed);
        bucket.add(waiter);
        return {};
    }

    // Takes the waiter off; whether it had been woken before. Must be called before it goes away.
    bool dequeue(futex_waiter& waiter);

    // Sleeps until woken (err{0}), the deadline (err::timedout) or a signal (err::intr), and dequeues.
    result<void> sleep(futex_waiter& waiter, u64 deadline);

    // Wakes at most `count` waiters of the key that share a bit with `bits`; says how many. err::inval
    // when one is met that wants a PI lock next.
    result<u32> wake(const futex_key& key, u32 count, u32 bits = ~u32{0});

    // If `check()` holds under both locks (else err::again): wakes `wake_count` waiters of `from` and
    // moves up to `move_count` others to `to`. Returns how many of both.
    template <class Check>
    result<u32> requeue(const futex_key& from, const futex_key& to, u32 wake_count, u32 move_count,
                        Check check) {
        bucket_pair locked(bucket_of(from), bucket_of(to));
        if (!TRY(check())) {
            return err::again;
        }
        if (bucket_of(from).wants_requeue(from)) {
            return err::inval;
        }
        return requeue_locked(from, to, wake_count, move_count);
    }

    // For requeuing to a PI lock: under the check, wakes up to `count` waiters, all of which must want
    // `target` (else err::inval), and which then take the lock themselves.
    template <class Check>
    result<u32> wake_for_requeue(const futex_key& from, const futex_key& target, u32 count,
                                 Check check) {
        futex_bucket& bucket = bucket_of(from);
        lock_guard guard(bucket.lock);
        if (!TRY(check())) {
            return err::again;
        }
        for (futex_waiter& waiter : bucket.waiters) {
            if (waiter.key == from && (!waiter.wants_requeue || waiter.requeue_target != target)) {
                return err::inval;
            }
        }
        return wake_locked(bucket, from, count, ~u32{0});
    }

    // How many wait; for tests and for /proc.
    u32 count_waiters(const futex_key& key);

private:
    static constexpr usize bucket_count = 256;

    class bucket_pair : noncopyable {
    public:
        bucket_pair(futex_bucket& a, futex_bucket& b);
        ~bucket_pair();

    private:
        futex_bucket& _first;
        futex_bucket& _second;
    };

    futex_bucket& bucket_of(const futex_key& key);
    static void wake_one(futex_bucket& bucket, futex_waiter& waiter);
    static u32 wake_locked(futex_bucket& bucket, const futex_key& key, u32 count, u32 bits);
    u32 requeue_locked(const futex_key& from, const futex_key& to, u32 wake_count, u32 move_count);

    futex_bucket _buckets[bucket_count];
};

}  // namespace kiln
