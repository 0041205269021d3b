// A network card as a device of the stack: what its drivers have in common. A driver adds its queues
// while it opens the device and says how the card is started anew and switched off.
//
// Locks: `_configuring`, around recovery and whatever must not meet it; before the queues' own.
#pragma once

#include "drivers/nic/queue_pair.hh"
#include "drivers/nic/reset_limit.hh"
#include "lib/ref.hh"
#include "lib/vector.hh"

namespace kiln::nic {

class network : public net::net_device, public card {
public:
    net::mac_address mac() const final { return _mac; }
    u32 mtu() const override { return 1500; }
    u32 features() const override {
        return net::device_feature::transmit_checksum | net::device_feature::tso4;
    }
    bool link_up() const final { return _link_up.load(std::memory_order_relaxed); }
    net::device_counters counters() const final;
    u32 queue_count() const final { return static_cast<u32>(_queues.size()); }
    net::device_counters queue_counters(u32 queue) const final;
    std::string_view driver() const final { return _name; }
    // On the queue of the CPU that sends.
    void transmit(net::packet_ptr frame, bool more) final;
    void start(net::net_receiver& receiver) final;
    bool recover(trouble what) final;

protected:
    explicit network(std::string_view name) : _name(name) {}

    // Of a card with several, queue i is CPU i's. Without interrupts the card is looked at.
    result<void> add_queue(queue_pair& queue, rings& served, bool has_interrupts);
    void set_mac(const net::mac_address& mac) { _mac = mac; }
    void set_link(bool up);

    // The card is at fault, and no thread touches its rings: starts it anew with empty ones.
    virtual result<void> restart() = 0;
    // It reaches no memory and interrupts no more from now on.
    virtual void switch_off() = 0;
    virtual bool read_link() = 0;
    // Whether a reset may help. Called before restart.
    virtual bool worth_a_reset(trouble what) { return what == trouble::not_sending; }

    mutex _configuring;

private:
    bool reset_helps(trouble what);

    std::string_view _name;
    vector<queue_pair*> _queues;
    net::mac_address _mac{};
    reset_limit _resets;
    bool _off = false;
    std::atomic<bool> _link_up{true};
    net::net_receiver* _receiver = nullptr;
};

// Makes a driver's object for a card, opens it, and gives it to the stack; or switches the card off.
template <class Network, class... Arguments>
result<void> add_card(Arguments&&... arguments) {
    // Never freed: from here on its interrupt handler may run.
    Network* made = TRY(make_unique<Network>(std::forward<Arguments>(arguments)...)).leak();
    auto outcome = made->open();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    net::register_net_device(*made);
    return {};
}

}  // namespace kiln::nic
