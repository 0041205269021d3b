// Timers of the protocols: many, coarse, moved often. They fire in the stack's own thread, not in
// interrupt context, so that `fire` may lock sockets and send.
//
// Lock: the queue's spin lock, held only around the tree; `fire` runs without it. A timer that is
// pending is usually counted as a reference to the object that holds it: start says whether it was
// newly queued, stop whether it was taken off, and a timer that fires gives that reference to `fire`.
// Context: threads. On the host a test calls run itself, with the clock it moves by hand.
#pragma once

#include "core/clock.hh"
#include "core/spinlock.hh"
#include "core/thread.hh"
#include "lib/tree.hh"

namespace kiln::net {

struct net_timer : noncopyable {
    using fire_function = void (*)(net_timer& expired);
    explicit net_timer(fire_function function) : fire(function) {}

    fire_function fire;
    u64 deadline = never;
    tree_node node;
};

class timer_queue : noncopyable {
public:
    // (Re)starts; true when it was not pending.
    bool start(net_timer& which, u64 deadline);
    // True when it was pending. It may be firing just now.
    bool stop(net_timer& which);

    // Fires everything that is due and returns when the next one is.
    u64 run(u64 time);
    // Whom to unpark when a timer becomes the earliest.
    void set_runner(thread* runner) { _runner = runner; }

private:
    struct earlier {
        bool operator()(const net_timer& a, const net_timer& b) const {
            return a.deadline < b.deadline;
        }
    };

    spinlock _lock;
    tree<net_timer, &net_timer::node, earlier> _pending;
    thread* _runner = nullptr;
};

}  // namespace kiln::net
