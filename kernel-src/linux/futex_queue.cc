#include "linux/futex_queue.hh"

namespace kiln {

void futex_bucket::add(futex_waiter& waiter) {
    if (waiter.priority != 0) {
        for (futex_waiter& each : waiters) {
            if (each.priority < waiter.priority) {
                waiters.insert_before(each, waiter);
                return;
            }
        }
    }
    waiters.push_back(waiter);
}

bool futex_bucket::wants_requeue(const futex_key& key) {
    for (const futex_waiter& each : waiters) {
        if (each.key == key && each.wants_requeue) {
            return true;
        }
    }
    return false;
}

futex_table::bucket_pair::bucket_pair(futex_bucket& a, futex_bucket& b)
    : _first(&a < &b ? a : b), _second(&a < &b ? b : a) {
    _first.lock.lock();
    if (&_first != &_second) {
        _second.lock.lock();
    }
}

futex_table::bucket_pair::~bucket_pair() {
    if (&_first != &_second) {
        _second.lock.unlock();
    }
    _first.lock.unlock();
}

futex_bucket& futex_table::bucket_of(const futex_key& key) {
    u64 mixed = (key.offset >> 2) ^ (reinterpret_cast<u64>(key.object) >> 4);
    mixed *= 0x9e37'79b9'7f4a'7c15;
    return _buckets[mixed >> 56];
}

void futex_table::wake_one(futex_bucket& bucket, futex_waiter& waiter) {
    bucket.waiters.remove(waiter);
    thread& sleeper = *waiter.sleeper;
    waiter.woken.store(true, std::memory_order_release);
    unpark(sleeper);
}

u32 futex_table::wake_locked(futex_bucket& bucket, const futex_key& key, u32 count, u32 bits) {
    u32 woken = 0;
    for (futex_waiter& waiter : bucket.waiters) {
        if (woken == count) {
            break;
        }
        if (waiter.key == key && (waiter.bits & bits) != 0) {
            wake_one(bucket, waiter);
            ++woken;
        }
    }
    return woken;
}

result<u32> futex_table::wake(const futex_key& key, u32 count, u32 bits) {
    futex_bucket& bucket = bucket_of(key);
    lock_guard guard(bucket.lock);
    if (bucket.wants_requeue(key)) {
        return err::inval;
    }
    return wake_locked(bucket, key, count, bits);
}

u32 futex_table::requeue_locked(const futex_key& from, const futex_key& to, u32 wake_count,
                                u32 move_count) {
    futex_bucket& source = bucket_of(from);
    futex_bucket& target = bucket_of(to);
    const u32 woken = wake_locked(source, from, wake_count, ~u32{0});
    if (from == to) {
        return woken;
    }
    // Collected first: source and target may be the same list.
    list<futex_waiter, &futex_waiter::link> moving;
    u32 moved = 0;
    for (futex_waiter& waiter : source.waiters) {
        if (moved == move_count) {
            break;
        }
        if (waiter.key == from) {
            source.waiters.remove(waiter);
            moving.push_back(waiter);
            ++moved;
        }
    }
    while (futex_waiter* waiter = moving.pop_front()) {
        waiter->key = to;
        waiter->bucket.store(&target, std::memory_order_relaxed);
        target.add(*waiter);
    }
    return woken + moved;
}

bool futex_table::dequeue(futex_waiter& waiter) {
    for (;;) {
        futex_bucket* bucket = waiter.bucket.load(std::memory_order_relaxed);
        if (bucket == nullptr) {
            return waiter.woken.load(std::memory_order_acquire);
        }
        lock_guard guard(bucket->lock);
        if (waiter.bucket.load(std::memory_order_relaxed) != bucket) {
            continue;  // moved by a requeue in between
        }
        if (waiter.link.linked()) {
            bucket->waiters.remove(waiter);
        }
        return waiter.woken.load(std::memory_order_acquire);
    }
}

result<void> futex_table::sleep(futex_waiter& waiter, u64 deadline) {
    err outcome{0};
    while (!waiter.woken.load(std::memory_order_acquire)) {
        if (deadline != never && now() >= deadline) {
            outcome = err::timedout;
            break;
        }
        if (interrupted()) {
            outcome = err::intr;
            break;
        }
        park_interruptible(deadline);
    }
    if (dequeue(waiter) || outcome == err{0}) {
        return {};
    }
    return outcome;
}

u32 futex_table::count_waiters(const futex_key& key) {
    futex_bucket& bucket = bucket_of(key);
    lock_guard guard(bucket.lock);
    u32 count = 0;
    for (futex_waiter& waiter : bucket.waiters) {
        count += waiter.key == key ? 1 : 0;
    }
    return count;
}

}  // namespace kiln
