#include "net/flow.hh"

#include "net/stack.hh"

namespace kiln::net {

void flow_list::put(flow_place& added) {
    if (added.listed.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    added.owner.hold_flow();
    flow_place* top = _newest.load(std::memory_order_relaxed);
    do {
        added.next = top;
    } while (!_newest.compare_exchange_weak(top, &added, std::memory_order_seq_cst));
}

flow_place* flow_list::take_all() {
    flow_place* newest = _newest.exchange(nullptr, std::memory_order_seq_cst);
    flow_place* reversed = nullptr;
    while (newest != nullptr) {
        flow_place* after = newest->next;
        newest->next = reversed;
        reversed = newest;
        newest = after;
    }
    return reversed;
}

void flow::work() {
    while (wants_attention()) {
        packet_queue arrived;
        _channel.take_all(arrived);
        const bool due = _due.exchange(false, std::memory_order_seq_cst);
        on_attention(arrived, due);
    }
}

// What comes between the last look and the unlock is seen by the second look: the producer's push
// and its try_lock, and our unlock and this look, are sequentially consistent.
void flow::unlock_and_work() {
    do {
        work();
        _lock.unlock();
        std::atomic_thread_fence(std::memory_order_seq_cst);
    } while (wants_attention() && _lock.try_lock());
    after_unlock();
    _stack.run_pending();
}

void flow::attend() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (wants_attention() && _lock.try_lock()) {
        unlock_and_work();
    }
}

}  // namespace kiln::net
