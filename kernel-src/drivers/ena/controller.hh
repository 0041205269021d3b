// The adapter as a whole: reset, admin queue, events, what was agreed on, and the making of its
// queues. After a reset all of it is done again, with the same plan.
// Context: threads; not locked.
#pragma once

#include "drivers/ena/event_queue.hh"
#include "drivers/ena/queue.hh"
#include "drivers/ena/spread.hh"
#include "lib/vector.hh"

namespace kiln::ena {

class controller {
public:
    explicit controller(machine& by) : _machine(by) {}

    result<void> init();
    // Everything that the device did for us ends with it.
    result<void> reset(reset_reason why) { return _hardware.reset(why); }
    // After a reset: admin queue, features, plan.
    result<void> negotiate();
    // The same plan as before.
    result<void> negotiate_again();
    void use_one_pair() { _plan.pairs = 1; }

    const offer& offered() const { return _offer; }
    const plan& chosen() const { return _plan; }
    u64 reach() const { return _hardware.reach(); }

    // Tells the device of queue `number`, which is empty.
    result<void> create(queue& made, u32 number);
    // How arriving frames are spread over the queues created so far. err::badmsg: not as told.
    result<void> spread_over(std::span<const u16> queues);
    result<void> set_mtu(u32 mtu);

    void allow_events() { _events.allow(); }
    event_queue& events() { return _events; }
    u32 enabled_groups() const { return _groups; }

private:
    result<void> start_queues();
    result<void> set_push();
    result<void> set_events();
    result<completion_queue_made> create_completions(u64 ring, u32 depth, u32 entry_bytes,
                                                     u32 number);
    result<submission_queue_made> create_submissions(create_submission_queue asked);
    result<submission_queue_made> create_transmits(const queue& of, u16 completions);
    result<submission_queue_made> create_receives(const queue& of, u16 completions);
    bool is_register(u32 where) const;
    result<u64> lines_at(const submission_queue_made& made) const;

    machine& _machine;
    hardware _hardware;
    admin_queue _admin;
    event_queue _events;
    spread _spread;
    dma_memory _host_information;
    offer _offer{};
    plan _plan;
    u32 _groups = 0;
};

}  // namespace kiln::ena
