// Ports and their handlers, over the interface by queues where Xen has it (since 4.4) and over the one of
// two levels else. Either way there are as many ports as the second has, which is more than Xen allows a
// guest unless it is told to.
//
// The table grows by blocks of the ports of one word and never shrinks, so that an upcall reads it
// without a lock. `changing` makes threads that change it one; an upcall counts itself into a port
// (`running`) before it reads the handler, so that close can take the handler away and wait.
#include "drivers/xen/event_channel.hh"

#include "core/log.hh"
#include "core/mutex.hh"
#include "core/thread.hh"
#include "drivers/xen/event_bits.hh"
#include "drivers/xen/event_fifo.hh"
#include "drivers/xen/hypercall.hh"
#include "drivers/xen/platform.hh"
#include "lib/ref.hh"

namespace kiln::xen::event_channel {
namespace {

struct port_slot {
    std::atomic<handler_function> handler{nullptr};
    void* of = nullptr;
    std::atomic<u32> cpu{0};
    std::atomic<u32> running{0};
};

struct slot_block {
    port_slot slots[bits_of_word];
};

constinit std::atomic<slot_block*> blocks[event_words]{};
constinit mutex changing;
constinit event_fifo fifo;
constinit bool by_queues = false;

template <class Structure>
result<void> event_call(u32 operation, Structure& structure) {
    return call_with(call::event_channel_op, operation, structure);
}

port_slot* slot_of(u32 port) {
    if (port >= ports_of_two_levels) {
        return nullptr;
    }
    slot_block* block = blocks[port / bits_of_word].load(std::memory_order_acquire);
    return block != nullptr ? &block->slots[port % bits_of_word] : nullptr;
}

result<port_slot*> make_slot(u32 port) {
    if (port == 0 || port >= ports_of_two_levels) {
        return err::nospc;
    }
    if (by_queues) {
        TRY(fifo.cover(port));
    }
    if (slot_of(port) == nullptr) {
        slot_block* made = TRY(make_unique<slot_block>()).leak();
        blocks[port / bits_of_word].store(made, std::memory_order_release);
    }
    return slot_of(port);
}

void give_back(u32 port) {
    port_request request{port};
    static_cast<void>(event_call(event_operation::close, request));
}

void call_handler(u32 port) {
    port_slot* slot = slot_of(port);
    if (slot == nullptr) {
        return;
    }
    slot->running.fetch_add(1, std::memory_order_seq_cst);
    if (const handler_function handler = slot->handler.load(std::memory_order_seq_cst)) {
        handler(slot->of);
    }
    slot->running.fetch_sub(1, std::memory_order_release);
}

void take_handler_away(port_slot& slot) {
    slot.handler.store(nullptr, std::memory_order_seq_cst);
    while (slot.running.load(std::memory_order_seq_cst) != 0) {
        cpu_relax();
    }
}

}  // namespace

result<void> start() {
    by_queues = fifo.start(cpu_count()).ok();
    log_debug("xen: event channels by {}", by_queues ? "queues" : "two levels");
    return start_upcalls([](void*) { deliver(); });
}

void deliver() {
    const u32 self = this_cpu();
    if (by_queues) {
        fifo.take(self, vcpu_info_of(self), call_handler);
        return;
    }
    const auto mine = [self](u32 port) {
        const port_slot* slot = slot_of(port);
        return slot != nullptr && slot->cpu.load(std::memory_order_relaxed) == self;
    };
    take_events(the_shared_info(), vcpu_info_of(self), mine, call_handler);
}

result<u32> allocate_unbound(u16 remote_domain) {
    alloc_unbound request{.domain = domain_self, .remote = remote_domain};
    TRY(event_call(event_operation::alloc_unbound, request));
    lock_guard guard(changing);
    const auto slot = make_slot(request.port);
    if (!slot.ok()) {
        give_back(request.port);
        return slot.error();
    }
    mask(request.port);
    return request.port;
}

result<void> attach(u32 port, handler_function handler, void* of, u32 cpu) {
    lock_guard guard(changing);
    port_slot& slot = *TRY(make_slot(port));
    mask(port);
    take_handler_away(slot);
    slot.of = of;
    slot.cpu.store(cpu, std::memory_order_relaxed);
    slot.handler.store(handler, std::memory_order_seq_cst);
    bind_vcpu request{.port = port, .vcpu = vcpu_of(cpu)};
    TRY(event_call(event_operation::bind_vcpu, request));
    unmask(port);
    return {};
}

void notify(u32 port) {
    port_request request{port};
    static_cast<void>(event_call(event_operation::send, request));
}

void mask(u32 port) {
    if (by_queues) {
        fifo.mask(port);
    } else if (port < ports_of_two_levels) {
        mask_bit(the_shared_info(), port);
    }
}

// A call only where something is pending: Xen announces it to the CPU that the port is bound to.
void unmask(u32 port) {
    const bool open = by_queues ? fifo.unmask(port)
                                : port < ports_of_two_levels && unmask_bit(the_shared_info(), port);
    if (open) {
        return;
    }
    port_request request{port};
    static_cast<void>(event_call(event_operation::unmask, request));
}

void close(u32 port) {
    lock_guard guard(changing);
    mask(port);
    if (port_slot* slot = slot_of(port)) {
        take_handler_away(*slot);
    }
    give_back(port);
    if (by_queues) {
        fifo.clear_pending(port);
    } else if (port < ports_of_two_levels) {
        clear_pending_bit(the_shared_info(), port);
    }
}

}  // namespace kiln::xen::event_channel
