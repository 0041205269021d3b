#include "net/timer_queue.hh"

namespace kiln::net {

bool timer_queue::start(net_timer& which, u64 deadline) {
    bool fresh;
    bool earliest;
    {
        lock_guard guard(_lock);
        fresh = !which.node.linked();
        if (!fresh) {
            _pending.remove(which);
        }
        which.deadline = deadline;
        _pending.insert(which);
        earliest = _pending.first() == &which;
    }
    if (earliest && _runner != nullptr) {
        unpark(*_runner);
    }
    return fresh;
}

bool timer_queue::stop(net_timer& which) {
    lock_guard guard(_lock);
    if (!which.node.linked()) {
        return false;
    }
    _pending.remove(which);
    return true;
}

u64 timer_queue::run(u64 time) {
    for (;;) {
        net_timer* due;
        {
            lock_guard guard(_lock);
            due = _pending.first();
            if (due == nullptr || due->deadline > time) {
                return due == nullptr ? never : due->deadline;
            }
            _pending.remove(*due);
        }
        due->fire(*due);
    }
}

}  // namespace kiln::net
