// The Elastic Network Adapter as a network device of the stack: a pair of queues for each CPU, as
// far as the device has them and messages to interrupt by.
//
// The first message is for events, which the first queue's thread takes. That thread looks at least
// once a second whether the device still says that it lives, and each whether its frames are sent.
// Locks: `_configuring`, around everything that uses the controller after start.
#pragma once

#include "drivers/ena/controller.hh"
#include "drivers/nic/network.hh"

namespace kiln::ena {

class network final : public nic::network {
public:
    explicit network(machine& by) : nic::network("ena"), _machine(by), _controller(by) {}

    result<void> open();
    void give_up() { _machine.cut_off(); }

    u32 mtu() const override { return _mtu; }
    u32 features() const override { return _features; }

    void look_round(u32 number) override;
    nic::trouble trouble_seen(u32 number) override;
    u64 longest_sleep() const override;

    // For tests that run the threads' turns themselves.
    u32 pairs() const { return static_cast<u32>(_sides.size()); }
    queue& rings(u32 number) { return _sides[number]->rings; }
    nic::queue_pair& service(u32 number) { return _sides[number]->service; }
    const controller& device() const { return _controller; }

private:
    struct side {
        network* of;
        queue rings;
        nic::queue_pair service;
    };

    static void on_frames(void* context);
    static void on_event(void* context);
    result<void> restart() override;
    void switch_off() override;
    bool read_link() override { return _link; }
    bool worth_a_reset(nic::trouble what) override;

    result<void> take_addresses();
    result<void> make_queues();
    result<void> make_sides();
    result<void> make_one_pair();
    result<void> create_queues();
    result<void> spread_frames();
    result<void> connect();
    void go();
    void take_hints(const hints_feature& hints);
    void take_features();
    void forget_frames();
    void take(const event& told);
    void look_for_life();
    void complain(nic::trouble what);

    machine& _machine;
    controller _controller;
    vector<unique<side>> _sides;
    u32 _mtu = 1500;
    u32 _features = 0;
    bool _link = true;
    reset_reason _reason = reset_reason::normal;

    // Of the first queue's thread, under _configuring.
    nic::trouble _seen = nic::trouble::none;
    u64 _last_keep_alive = 0;
    u64 _longest_silence = never;
    std::atomic<u32> _idle_interrupts{0};
};

}  // namespace kiln::ena
