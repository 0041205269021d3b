// A flow's channel: packets that have arrived and that the owner of the flow's lock has not looked at
// yet. Many producers push without a lock; one consumer at a time (whoever holds the flow's lock)
// takes everything at once, in order.
//
// The channel is bounded: a push beyond the bound is refused, and the packet is dropped as if the
// network had lost it. Context: any but interrupt handlers.
#pragma once

#include <atomic>

#include "net/packet_buffer.hh"

namespace kiln::net {

class channel : noncopyable {
public:
    explicit channel(u32 bound) : _bound(bound) {}
    ~channel() { take_all(); }

    // False when it is full.
    bool push(packet_ptr& packet) {
        if (_count.fetch_add(1, std::memory_order_relaxed) >= _bound) {
            _count.fetch_sub(1, std::memory_order_relaxed);
            return false;
        }
        packet_buffer* added = packet.leak();
        packet_buffer* top = _top.load(std::memory_order_relaxed);
        do {
            added->next = top;
        } while (!_top.compare_exchange_weak(top, added, std::memory_order_seq_cst,
                                             std::memory_order_relaxed));
        return true;
    }

    bool empty() const { return _top.load(std::memory_order_seq_cst) == nullptr; }
    bool half_full() const { return _count.load(std::memory_order_relaxed) * 2 >= _bound; }

    // Consumer: moves what is there, oldest first.
    void take_all(packet_queue& to) {
        packet_buffer* oldest = reverse(_top.exchange(nullptr, std::memory_order_seq_cst));
        u32 taken = 0;
        while (oldest != nullptr) {
            packet_buffer* after = oldest->next;
            to.push_back(packet_ptr(oldest));
            oldest = after;
            ++taken;
        }
        _count.fetch_sub(taken, std::memory_order_relaxed);
    }

private:
    void take_all() {
        packet_queue dropped;
        take_all(dropped);
    }
    // Producers push at the top, so the newest comes first.
    static packet_buffer* reverse(packet_buffer* newest) {
        packet_buffer* reversed = nullptr;
        while (newest != nullptr) {
            packet_buffer* after = newest->next;
            newest->next = reversed;
            reversed = newest;
            newest = after;
        }
        return reversed;
    }

    std::atomic<packet_buffer*> _top{nullptr};
    std::atomic<u32> _count{0};
    u32 _bound;
};

}  // namespace kiln::net
