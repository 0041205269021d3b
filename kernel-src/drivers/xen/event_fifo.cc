#include "drivers/xen/event_fifo.hh"

#include "core/page.hh"
#include "core/spinlock.hh"
#include "drivers/xen/hypercall.hh"
#include "drivers/xen/platform.hh"

namespace kiln::xen {
namespace {

struct init_control {
    u64 frame;
    u32 offset;
    u32 vcpu;
    u8 link_bits = 0;
    u8 pad[7]{};
};

struct expand_array {
    u64 frame;
};

}  // namespace

// Only the call for the first CPU may fail; after it Xen speaks nothing else.
result<void> event_fifo::start(u32 cpus) {
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        page* const frame = TRY(alloc_zeroed_page());
        _cpus[cpu].control = static_cast<fifo_control*>(page_data(*frame));
        init_control request{.frame = frame_of(page_data(*frame)), .offset = 0, .vcpu = vcpu_of(cpu)};
        const auto done = call_with(call::event_channel_op, event_operation::init_control, request);
        if (!done.ok()) {
            drop_page_reference(*frame);
            return done.error();
        }
    }
    return add_page();
}

result<void> event_fifo::add_page() {
    if (_page_count == most_pages) {
        return err::nospc;
    }
    page* const frame = TRY(alloc_zeroed_page());
    auto* words = static_cast<std::atomic<u32>*>(page_data(*frame));
    for (u32 i = 0; i < words_of_page; ++i) {
        words[i].store(masked_bit, std::memory_order_relaxed);
    }
    _pages[_page_count].store(words, std::memory_order_release);
    expand_array request{frame_of(words)};
    const auto done = call_with(call::event_channel_op, event_operation::expand_array, request);
    if (!done.ok()) {
        _pages[_page_count].store(nullptr, std::memory_order_release);
        drop_page_reference(*frame);
        return done.error();
    }
    ++_page_count;
    return {};
}

result<void> event_fifo::cover(u32 port) {
    if (port >= most_ports) {
        return err::nospc;
    }
    while (port / words_of_page >= _page_count) {
        TRY(add_page());
    }
    return {};
}

std::atomic<u32>* event_fifo::word_of(u32 port) {
    if (port >= most_ports) {
        return nullptr;
    }
    std::atomic<u32>* words = _pages[port / words_of_page].load(std::memory_order_acquire);
    return words != nullptr ? &words[port % words_of_page] : nullptr;
}

void event_fifo::set_bits(u32 port, u32 bits) {
    if (std::atomic<u32>* word = word_of(port)) {
        word->fetch_or(bits, std::memory_order_acq_rel);
    }
}

void event_fifo::clear_bits(u32 port, u32 bits) {
    if (std::atomic<u32>* word = word_of(port)) {
        word->fetch_and(~bits, std::memory_order_acq_rel);
    }
}

// While Xen links the word (busy), it must not be opened; that takes it a moment.
bool event_fifo::unmask(u32 port) {
    constexpr u32 most_attempts = 1000;
    std::atomic<u32>* word = word_of(port);
    u32 old = word != nullptr ? word->load(std::memory_order_acquire) : 0;
    for (u32 attempt = 0; word != nullptr && attempt < most_attempts; ++attempt) {
        old &= ~busy_bit;
        if (word->compare_exchange_weak(old, old & ~masked_bit, std::memory_order_seq_cst)) {
            return (old & pending_bit) == 0;
        }
        cpu_relax();
    }
    return false;
}

// Takes a word off its queue: the port after it, 0 when it was the last. From then on Xen may link it
// anew. `wanted`: its event is to be delivered, and has been taken.
u32 event_fifo::unlink(std::atomic<u32>& word, bool& wanted) {
    u32 old = word.load(std::memory_order_acquire);
    u32 fresh;
    do {
        wanted = (old & pending_bit) != 0 && (old & masked_bit) == 0;
        fresh = old & ~(linked_bit | link_mask | (wanted ? pending_bit : 0));
    } while (!word.compare_exchange_weak(old, fresh, std::memory_order_acq_rel));
    return old & link_mask;
}

// The next port of a queue whose event is to be delivered; 0 when the queue is empty.
u32 event_fifo::next_of(u32 cpu, u32 queue) {
    cpu_queues& mine = _cpus[cpu];
    for (;;) {
        if (!mine.begun[queue]) {
            mine.head[queue] = mine.control->head[queue].load(std::memory_order_acquire);
            mine.begun[queue] = true;
        }
        const u32 port = mine.head[queue];
        std::atomic<u32>* word = port != 0 ? word_of(port) : nullptr;
        if (word == nullptr) {
            mine.begun[queue] = false;
            return 0;
        }
        bool wanted = false;
        mine.head[queue] = unlink(*word, wanted);
        if (wanted) {
            return port;
        }
    }
}

}  // namespace kiln::xen
