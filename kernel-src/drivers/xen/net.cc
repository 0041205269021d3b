// Virtual network interfaces of Xen (Xen public io/netif.h): the driver of one device, with a pair of
// rings a CPU where the backend has as many. A frame is sent on the pair of the CPU that sends it.
//
// The backend's half may live in another guest and is not trusted: it reaches only the pages of the
// rings (send_ring.hh, receive_ring.hh).
#include <algorithm>

#include "core/log.hh"
#include "core/thread.hh"
#include "drivers/nic/network.hh"
#include "drivers/xen/event_channel.hh"
#include "drivers/xen/front.hh"
#include "drivers/xen/fronts.hh"
#include "drivers/xen/net_rings.hh"
#include "drivers/xen/offers.hh"

namespace kiln::xen {
namespace {

constexpr u32 most_queues = 8;
constexpr u32 least_mtu = 68, longest_mtu = 65535 - 14;

class network final : public nic::network {
public:
    network() : nic::network("xen-netfront"), _front("vif", &on_backend_change, this) {}
    ~network() override;

    result<void> offer(std::string_view id);
    result<void> finish();
    void give_up();

    u32 mtu() const override { return _mtu; }
    u32 features() const override { return choose_net_features(_offer); }

private:
    struct side {
        network* of;
        u32 port = 0;
        net_rings rings;
        nic::queue_pair service;
    };

    static void on_event(void* context);
    static void on_backend_change(void* context);
    void look_round(u32 queue) override;
    result<void> restart() override;
    void switch_off() override;
    bool read_link() override;

    void read_offer();
    result<void> read_own();
    result<void> make_queues();
    result<void> add_side();
    result<void> publish();
    result<void> publish_queue(front::writer& to, u32 number);
    result<void> join();
    result<void> connect_queues();
    bool backend_left() const;
    void set_joined(bool joined);
    void look_at_backend();
    void mask_events(bool masked);

    front _front;
    vector<unique<side>> _sides;
    net_offer _offer{};
    u32 _mtu = 1500;
    std::atomic<bool> _complete{false};        // changes of the backend's are looked at
    std::atomic<bool> _joined{false};          // the backend has been connected
    std::atomic<bool> _left{false};            // and has gone again
    std::atomic<bool> _backend_changed{false};
};

// Only of one that never was in use.
network::~network() {
    _front.stop_watching();
    for (const unique<side>& each : _sides) {
        event_channel::close(each->port);
    }
}

// ---- setting up ----

result<void> network::offer(std::string_view id) {
    TRY(_front.open(id, front::note_after));
    TRY(read_own());
    read_offer();
    if (!_offer.copies_received) {
        log_error("xen-netfront: vif {}: the backend does not copy what it receives "
                  "(feature-rx-copy), which is needed", id);
        return err::opnotsupp;
    }
    TRY(make_queues());
    return join();
}

result<void> network::read_own() {
    const string mac = TRY(_front.own("mac"));
    auto read = read_mac(mac);
    if (!read.ok()) {
        log_error("xen-netfront: vif {}: \"{}\" is no address", _front.id(), mac);
        return read.error();
    }
    set_mac(read.value());
    _mtu = static_cast<u32>(std::clamp<u64>(_front.own_number("mtu", 1500), least_mtu, longest_mtu));
    return {};
}

void network::read_offer() {
    auto has = [&](std::string_view name) { return _front.offered(name, 0) == 1; };
    _offer = {.copies_received = has("feature-rx-copy"),
              .scatter = has("feature-sg"),
              .no_checksum = has("feature-no-csum-offload"),
              .checksum_ipv6 = has("feature-ipv6-csum-offload"),
              .segments4 = has("feature-gso-tcpv4"),
              .segments6 = has("feature-gso-tcpv6")};
}

result<void> network::make_queues() {
    const u64 offered = _front.offered("multi-queue-max-queues", 0);
    const u32 wanted = choose_queues(offered, cpu_count(), most_queues);
    TRY(add_side());
    while (_sides.size() < wanted && add_side().ok()) {
    }
    for (const unique<side>& each : _sides) {
        TRY(add_queue(each->service, each->rings, true));
    }
    return {};
}

result<void> network::add_side() {
    auto made = TRY(make_unique<side>());
    made->of = this;
    TRY(made->rings.open(grants(), _front.backend_domain()));
    made->port = TRY(event_channel::allocate_unbound(_front.backend_domain()));
    return _sides.push_back(std::move(made));
}

result<void> network::publish_queue(front::writer& to, u32 number) {
    const side& each = *_sides[number];
    const struct {
        std::string_view name;
        u64 value;
    } nodes[] = {
        {"tx-ring-ref", each.rings.send_page()},
        {"rx-ring-ref", each.rings.receive_page()},
        {"event-channel", each.port},
    };
    for (const auto& node : nodes) {
        TRY(_sides.size() == 1 ? to.put(node.name, node.value)
                               : to.put_for_queue(number, node.name, node.value));
    }
    return {};
}

// Of what we receive, the stack takes all that a backend may leave to us.
result<void> network::publish() {
    constexpr std::string_view features[] = {
        "request-rx-copy",   "feature-rx-notify", "feature-sg",
        "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload",
    };
    return _front.publish([&](front::writer& to) -> result<void> {
        for (const std::string_view each : features) {
            TRY(to.put(each, 1));
        }
        if (_front.offered("multi-queue-max-queues", 0) != 0) {
            TRY(to.put("multi-queue-num-queues", _sides.size()));
        }
        for (u32 i = 0; i < _sides.size(); ++i) {
            TRY(publish_queue(to, i));
        }
        return {};
    });
}

// This backend waits for us to be connected before it connects.
result<void> network::join() {
    set_joined(false);
    for (const unique<side>& each : _sides) {
        each->rings.connect({&event_channel::notify, each->port}, _offer.scatter);
    }
    TRY(publish());
    return _front.change_state(xenbus_state::connected);
}

result<void> network::finish() {
    TRY(_front.watch_offer("carrier"));
    TRY(connect_queues());
    _front.give_time_to_connect(front::longest_card_wait);
    if (_front.backend_closes()) {
        log_error("xen-netfront: vif {}: the backend in domain {} closes it; it is not used",
                  _front.id(), _front.backend_domain());
        return err::io;
    }
    // What changes from here on, the first queue's thread looks at.
    _complete.store(true, std::memory_order_release);
    look_at_backend();
    if (!_joined) {
        log_warning("xen-netfront: vif {}: the backend in domain {} has not connected for {} s; the "
                    "link is down until it does",
                    _front.id(), _front.backend_domain(), front::longest_card_wait / ns_per_s);
    }
    return {};
}

result<void> network::connect_queues() {
    for (u32 i = 0; i < _sides.size(); ++i) {
        side& each = *_sides[i];
        TRY(event_channel::attach(each.port, &on_event, &each, i));
    }
    log_debug("xen-netfront: vif {}: {} queues, features {:x}", _front.id(), _sides.size(),
              features());
    return {};
}

void network::give_up() {
    mask_events(true);
    (void)_front.change_state(xenbus_state::closing);
    (void)_front.change_state(xenbus_state::closed);
}

// ---- running ----

void network::mask_events(bool masked) {
    for (const unique<side>& each : _sides) {
        masked ? event_channel::mask(each->port) : event_channel::unmask(each->port);
    }
}

void network::on_event(void* context) {
    auto& mine = *static_cast<side*>(context);
    if (!mine.service.wake_by_interrupt()) {
        event_channel::mask(mine.port);
    }
}

void network::on_backend_change(void* context) {
    auto& self = *static_cast<network*>(context);
    if (self._complete.load(std::memory_order_acquire)) {
        self._backend_changed.store(true, std::memory_order_release);
        self._sides[0]->service.wake();
    }
}

// Before it has joined, other states than the last ones lead there.
bool network::backend_left() const {
    return _joined ? _front.backend_state() != xenbus_state::connected : _front.backend_closes();
}

void network::set_joined(bool joined) {
    _joined = joined;
    for (const unique<side>& each : _sides) {
        each->rings.set_joined(joined);
    }
}

void network::look_at_backend() {
    if (backend_left() && !_left.exchange(true)) {
        log_error("xen-netfront: vif {}: the backend closes it; it is not used", _front.id());
        give_up();
    }
    if (!_left && !_joined && _front.backend_state() == xenbus_state::connected) {
        set_joined(true);
    }
    set_link(read_link());
}

void network::look_round(u32 queue) {
    if (queue != 0 || !_backend_changed.load(std::memory_order_relaxed) ||
        !_backend_changed.exchange(false, std::memory_order_acquire)) {
        return;
    }
    lock_guard guard(_configuring);
    look_at_backend();
}

bool network::read_link() {
    return !_left && _joined && !backend_left() && _front.offered("carrier", 1) != 0;
}

// Through the whole agreement once more, with the same pages and ports.
result<void> network::restart() {
    if (_left) {
        return err::nodev;
    }
    set_joined(false);
    mask_events(true);
    if (!_front.close()) {
        return err::timedout;
    }
    for (const unique<side>& each : _sides) {
        each->rings.clear();
    }
    TRY(_front.begin());
    read_offer();
    TRY(join());
    TRY(_front.wait_until_connected());
    set_joined(true);
    mask_events(false);
    return {};
}

void network::switch_off() {
    _left = true;
    give_up();
}

}  // namespace

result<net::net_device*> offer_network(std::string_view id) {
    auto made = TRY(make_unique<network>());
    auto outcome = made->offer(id);
    if (!outcome.ok()) {
        made->give_up();
        return outcome.error();
    }
    return made.leak();
}

result<void> finish_network(net::net_device& offered) {
    unique<network> made(static_cast<network*>(&offered));
    auto outcome = made->finish();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    net::register_net_device(*made.leak());
    return {};
}

}  // namespace kiln::xen
