// Who waits for which lock that names its owner (PI futexes), and who owns those locks: the order
// in which waiters get them, and whether a wait would close a circle. Tested on the host.
//
// An owner inherits the priority of the most urgent thread that waits, over any number of locks, for
// one of its own. Each waiter knows how urgent it is with what it inherits itself, so that a change goes
// along one chain (`spread`), to be called by whoever adds, removes or hands on. Not locked: the
// caller's lock guards (linux/futex_pi.cc). All searches go through one list, since locks of this kind
// that are fought for are few. Context: any.
#pragma once

#include "lib/list.hh"
#include "linux/futex_queue.hh"

namespace kiln {

struct pi_waiter : noncopyable {
    pi_waiter(const futex_key& where, i32 tid, i32 own_priority)
        : key(where), waiting(tid), priority(own_priority) {}

    list_node link;
    futex_key key;
    i32 waiting;   // thread
    i32 priority;  // its own: 1 to 99 for real-time policies, else 0
    i32 urgency = 0;  // with what it inherits; while queued
    i32 owner = 0;    // thread that has the lock; while queued
};

class pi_queue : noncopyable {
public:
    constexpr pi_queue() = default;

    void add(pi_waiter& waiter, i32 owner);
    void remove(pi_waiter& waiter);
    // The waiter that gets the lock next: the most urgent, of equals the first; null when none
    // waits.
    pi_waiter* next(const futex_key& key);
    // The lock has another owner, for whom all who are queued wait from now on.
    void set_owner(const futex_key& key, i32 owner);
    // Who had the lock when its waiters were queued; 0 when none waits.
    i32 owner_of(const futex_key& key);
    // A waiter for a lock of this thread, or null.
    pi_waiter* waiter_on(i32 owner);
    // Whether `owner` waits, over any number of locks, for `self`.
    bool closes_circle(i32 self, i32 owner);
    // The priority that a thread has from those who wait for its locks; 0 for none.
    i32 inherited_by(i32 owner);
    // A thread that perhaps waits has another priority of its own; for whose lock it waits, or 0.
    i32 set_priority(i32 waiting, i32 priority);
    // What `owner` inherits may have changed, and so what those inherit for whose locks it waits: calls
    // `tell(thread, inherited)` for each.
    template <class Tell>
    void spread(i32 owner, Tell tell) {
        for (u32 step = 0; step < longest_chain && owner != 0; ++step) {
            const i32 inherited = inherited_by(owner);
            tell(owner, inherited);
            owner = pass_on(owner, inherited);
        }
    }

private:
    // Longer chains than Linux follows.
    static constexpr u32 longest_chain = 1024;

    pi_waiter* wait_of(i32 thread);
    i32 pass_on(i32 thread, i32 inherited);

    list<pi_waiter, &pi_waiter::link> _waiters;
};

}  // namespace kiln
