#include "fs/file_lock.hh"

#include <algorithm>

#include "core/wait_queue.hh"
#include "lib/list.hh"

namespace kiln {
namespace {

struct held_lock {
    lock_request what;
    list_node link;
};

}  // namespace

class lock_list : noncopyable {
public:
    ~lock_list() {
        while (held_lock* one = _held.pop_front()) {
            delete one;
        }
    }

    result<void> try_set(const lock_request& request);
    result<void> clear(const lock_request& request);
    const held_lock* conflict(const lock_request& request);
    bool find(lock_request& request);
    void drop_owner(const void* owner, bool process_only);

    wait_queue changed;

private:
    static bool same_owner(const lock_request& left, const lock_request& right) {
        return left.flock == right.flock && left.owner == right.owner;
    }
    static bool overlap(const lock_request& left, const lock_request& right) {
        return left.flock == right.flock && left.start <= right.end && right.start <= left.end;
    }
    void cut(const lock_request& hole, held_lock*& spare);

    spinlock _lock;
    list<held_lock, &held_lock::link> _held;
};

const held_lock* lock_list::conflict(const lock_request& request) {
    for (held_lock& one : _held) {
        if (overlap(one.what, request) && !same_owner(one.what, request) &&
            (one.what.exclusive || request.exclusive)) {
            return &one;
        }
    }
    return nullptr;
}

// Takes a range out of the owner's locks; a lock that loses its middle needs the spare.
void lock_list::cut(const lock_request& hole, held_lock*& spare) {
    for (held_lock& one : _held) {
        if (!same_owner(one.what, hole) || !overlap(one.what, hole)) {
            continue;
        }
        const bool before = one.what.start < hole.start;
        const bool after = one.what.end > hole.end;
        if (before && after) {
            held_lock* const rest = std::exchange(spare, nullptr);
            rest->what = one.what;
            rest->what.start = hole.end + 1;
            one.what.end = hole.start - 1;
            _held.push_back(*rest);
            return;
        }
        if (before) {
            one.what.end = hole.start - 1;
        } else if (after) {
            one.what.start = hole.end + 1;
        } else {
            list<held_lock, &held_lock::link>::remove(one);
            delete &one;
        }
    }
}

result<void> lock_list::try_set(const lock_request& request) {
    auto* made = new (std::nothrow) held_lock{request, {}};
    auto* spare = new (std::nothrow) held_lock{request, {}};
    result<void> outcome = err::nomem;
    if (made != nullptr && spare != nullptr) {
        lock_guard guard(_lock);
        outcome = err::again;
        if (conflict(request) == nullptr) {
            cut(request, spare);
            _held.push_back(*std::exchange(made, nullptr));
            outcome = {};
        }
    }
    delete made;
    delete spare;
    return outcome;
}

result<void> lock_list::clear(const lock_request& request) {
    auto* spare = new (std::nothrow) held_lock{request, {}};
    if (spare == nullptr) {
        return err::nolck;
    }
    {
        lock_guard guard(_lock);
        cut(request, spare);
    }
    delete spare;
    changed.wake_all();
    return {};
}

bool lock_list::find(lock_request& request) {
    lock_guard guard(_lock);
    const held_lock* const found = conflict(request);
    if (found != nullptr) {
        request = found->what;
    }
    return found != nullptr;
}

void lock_list::drop_owner(const void* owner, bool process_only) {
    {
        lock_guard guard(_lock);
        for (held_lock& one : _held) {
            const bool its = process_only ? one.what.owner == nullptr : one.what.owner == owner;
            if (its) {
                list<held_lock, &held_lock::link>::remove(one);
                delete &one;
            }
        }
    }
    changed.wake_all();
}

namespace {

result<lock_list*> list_of(inode& target) {
    if (lock_list* known = target.locks.load(std::memory_order_acquire)) {
        return known;
    }
    auto* made = new (std::nothrow) lock_list;
    if (made == nullptr) {
        return err::nolck;
    }
    lock_list* before = nullptr;
    if (!target.locks.compare_exchange_strong(before, made)) {
        delete made;
        return before;
    }
    return made;
}

}  // namespace

result<void> set_file_lock(inode& target, const lock_request& request, bool wait) {
    lock_list* const locks = TRY(list_of(target));
    result<void> outcome = locks->try_set(request);
    if (!wait || outcome.ok() || outcome.error() != err::again) {
        return outcome;
    }
    // The condition takes the lock, so that nobody gets in between.
    TRY(wait_until(locks->changed, [&] {
        outcome = locks->try_set(request);
        return outcome.ok() || outcome.error() != err::again;
    }));
    return outcome;
}

result<void> clear_file_lock(inode& target, const lock_request& request) {
    lock_list* const locks = target.locks.load(std::memory_order_acquire);
    return locks == nullptr ? result<void>() : locks->clear(request);
}

bool find_file_lock(inode& target, lock_request& request) {
    lock_list* const locks = target.locks.load(std::memory_order_acquire);
    return locks != nullptr && locks->find(request);
}

void drop_file_locks(inode& target, const void* owner) {
    if (lock_list* const locks = target.locks.load(std::memory_order_acquire)) {
        locks->drop_owner(owner, false);
    }
}

void drop_process_locks(inode& target) {
    if (lock_list* const locks = target.locks.load(std::memory_order_acquire)) {
        locks->drop_owner(nullptr, true);
    }
}

void free_lock_list(lock_list* locks) {
    delete locks;
}

}  // namespace kiln
