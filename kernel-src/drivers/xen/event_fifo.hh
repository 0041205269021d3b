// The interface of event channels by queues (Xen public event_channel.h, "FIFO ABI"): a word a port,
// and for each virtual CPU 16 queues by priority, linked through the words. It has room for more ports
// than the two-level one, and events come in the order in which they were sent.
//
// Xen links a word at the end of its CPU's queue; the CPU unlinks from the front. A queue that had become
// empty is announced anew, by its bit in `ready` and by upcall_pending. The words' array grows by pages
// and never shrinks, so an upcall reads it without a lock.
#pragma once

#include "core/thread.hh"
#include "drivers/xen/interface.hh"
#include "lib/result.hh"

namespace kiln::xen {

// struct evtchn_fifo_control_block.
struct fifo_control {
    static constexpr u32 queues = 16;

    std::atomic<u32> ready{0};
    u32 reserved = 0;
    std::atomic<u32> head[queues]{};
};

class event_fifo {
public:
    static constexpr u32 most_ports = 1u << 17;
    static constexpr u32 words_of_page = page_size / sizeof(u32);
    static constexpr u32 pending_bit = 1u << 31, masked_bit = 1u << 30, linked_bit = 1u << 29,
                         busy_bit = 1u << 28, link_mask = most_ports - 1;

    constexpr event_fifo() = default;

    // Has Xen use it for `cpus` CPUs. An error, and nothing has changed, where Xen has no such thing.
    result<void> start(u32 cpus);
    // Makes the words up to this port's, masked. Threads, one at a time.
    result<void> cover(u32 port);

    void mask(u32 port) { set_bits(port, masked_bit); }
    // Whether the port is open now and nothing is pending. Else Xen has to open it.
    bool unmask(u32 port);
    void clear_pending(u32 port) { clear_bits(port, pending_bit); }

    // Takes what is pending for one CPU: calls `visit(port)` for each port that is pending and not
    // masked, with the pending bit cleared before.
    template <class Visit>
    void take(u32 cpu, vcpu_info& info, Visit visit) {
        // In this order, so that nothing is overlooked that Xen announces from now on.
        info.upcall_pending.exchange(0, std::memory_order_seq_cst);
        u32 ready = _cpus[cpu].control->ready.exchange(0, std::memory_order_seq_cst);
        for (ready &= all_queues; ready != 0; ready &= ready - 1) {
            const auto queue = static_cast<u32>(__builtin_ctz(ready));
            while (const u32 port = next_of(cpu, queue)) {
                visit(port);
            }
        }
    }

private:
    static constexpr u32 most_pages = most_ports / words_of_page;
    static constexpr u32 all_queues = (1u << fifo_control::queues) - 1;

    struct cpu_queues {
        fifo_control* control = nullptr;
        u32 head[fifo_control::queues]{};  // where to go on; 0: at Xen's own head
        bool begun[fifo_control::queues]{};
    };

    std::atomic<u32>* word_of(u32 port);
    void set_bits(u32 port, u32 bits);
    void clear_bits(u32 port, u32 bits);
    u32 next_of(u32 cpu, u32 queue);
    static u32 unlink(std::atomic<u32>& word, bool& wanted);
    result<void> add_page();

    std::atomic<std::atomic<u32>*> _pages[most_pages]{};
    u32 _page_count = 0;
    cpu_queues _cpus[max_cpus]{};
};

}  // namespace kiln::xen
