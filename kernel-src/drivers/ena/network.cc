#include "drivers/ena/network.hh"

#include <algorithm>

#include "core/clock.hh"
#include "core/log.hh"

namespace kiln::ena {
namespace {

constexpr u64 between_looks = 1 * ns_per_s;
constexpr u64 usual_silence = 6 * ns_per_s, usual_send = 5 * ns_per_s;
constexpr u32 usual_overdue = 128;
constexpr u32 usual_mtu = 1500, smallest_mtu = 68;

// What a hint in milliseconds means: 0 is none.
u64 time_of(u16 hint, u64 usual) {
    return hint == 0 ? usual : hint == hints_feature::no_timeout ? never : hint * ns_per_ms;
}

reset_reason reason_of(nic::trouble what) {
    switch (what) {
        case nic::trouble::lifeless: return reset_reason::no_keep_alive;
        case nic::trouble::not_sending: return reset_reason::nothing_sent;
        case nic::trouble::broken_rings: return reset_reason::bad_received_id;
        default: return reset_reason::generic;
    }
}

}  // namespace

// ---- setting up ----

result<void> network::open() {
    TRY(_controller.init());
    TRY(_controller.reset(reset_reason::normal));
    TRY(_controller.negotiate());
    TRY(take_addresses());
    TRY(make_queues());
    const bool interrupts = connect().ok();
    for (const unique<side>& each : _sides) {
        TRY(add_queue(each->service, each->rings, interrupts));
    }
    go();
    log_info("ena: pairs of queues: {}, descriptors in {} memory", pairs(),
             _controller.chosen().push.used ? "the device's" : "our");
    return {};
}

result<void> network::take_addresses() {
    const device_attributes& of = _controller.offered().attributes;
    net::mac_address mac;
    __builtin_memcpy(mac.bytes, of.mac, sizeof(mac.bytes));
    if (mac.is_multicast() || mac == net::mac_address{} || of.largest_mtu < smallest_mtu) {
        log_error("ena: a device without a usable address, or with frames of {} bytes",
                  of.largest_mtu);
        return err::nodev;
    }
    set_mac(mac);
    _mtu = std::min(of.largest_mtu, usual_mtu);
    take_features();
    return {};
}

// Sums over IPv6 that it does not make are made by the driver; segments stand on sums.
void network::take_features() {
    namespace f = net::device_feature;
    const u32 made = _controller.offered().offloads.transmit;
    if ((made & offload_feature::sum_ipv4) == 0) {
        return;
    }
    _features = f::transmit_checksum |
                ((made & offload_feature::segments_ipv4) != 0 ? f::tso4 : 0) |
                ((made & offload_feature::segments_ipv6) != 0 ? f::tso6 : 0);
}

// A device that does not spread as it is told is used with one queue, to which all goes.
result<void> network::make_queues() {
    TRY(make_sides());
    TRY(create_queues());
    auto outcome = spread_frames();
    return outcome.ok() || outcome.error() != err::badmsg ? std::move(outcome) : make_one_pair();
}

result<void> network::make_one_pair() {
    log_warning("ena: one pair of queues is used");
    TRY(_controller.reset(reset_reason::start_failed));
    while (_sides.size() > 1) {
        _sides.pop_back();
    }
    _controller.use_one_pair();
    TRY(_controller.negotiate_again());
    TRY(create_queues());
    return spread_frames();
}

result<void> network::make_sides() {
    for (u32 i = 0; i < _controller.chosen().pairs; ++i) {
        auto made = TRY(make_unique<side>());
        made->of = this;
        TRY(made->rings.allocate(_machine, _controller.chosen(), _controller.reach()));
        TRY(_sides.push_back(std::move(made)));
    }
    return {};
}

result<void> network::create_queues() {
    for (u32 i = 0; i < pairs(); ++i) {
        TRY(_controller.create(rings(i), i));
    }
    return _controller.set_mtu(_mtu);
}

result<void> network::spread_frames() {
    u16 receives[most_pairs];
    for (u32 i = 0; i < pairs(); ++i) {
        receives[i] = rings(i).receive_index();
    }
    auto outcome = _controller.spread_over({receives, pairs()});
    const bool only_one = !outcome.ok() && outcome.error() == err::badmsg && pairs() == 1;
    return only_one ? result<void>() : std::move(outcome);
}

result<void> network::connect() {
    if (!_controller.chosen().interrupts) {
        return err::nodev;
    }
    TRY(_machine.connect(0, &on_event, this, 0));
    for (u32 i = 0; i < pairs(); ++i) {
        TRY(_machine.connect(i + 1, &on_frames, _sides[i].get(), i));
    }
    return {};
}

void network::go() {
    take_hints(_controller.offered().hints);
    _seen = nic::trouble::none;
    _last_keep_alive = now();
    _idle_interrupts.store(0, std::memory_order_relaxed);
    _controller.allow_events();
}

void network::take_hints(const hints_feature& hints) {
    const bool keeps_alive = (_controller.enabled_groups() & bit_of(event_group::keep_alive)) != 0;
    _longest_silence = keeps_alive ? time_of(hints.keep_alive_ms, usual_silence) : never;
    const u32 overdue = hints.unsent_limit == 0 ? usual_overdue : hints.unsent_limit;
    for (const unique<side>& each : _sides) {
        each->rings.set_patience(time_of(hints.sent_ms, usual_send), overdue);
    }
}

// ---- running ----

void network::on_frames(void* context) {
    auto& mine = *static_cast<side*>(context);
    if (!mine.service.wake_by_interrupt()) {
        mine.of->_machine.silence();
    }
}

void network::on_event(void* context) {
    network& self = *static_cast<network*>(context);
    if (self._idle_interrupts.fetch_add(1, std::memory_order_relaxed) >=
        nic::queue_pair::most_idle_interrupts) {
        self._machine.silence();
    }
    self.service(0).wake();
}

u64 network::longest_sleep() const {
    return between_looks;
}

void network::complain(nic::trouble what) {
    if (_seen == nic::trouble::none) {
        _seen = what;
    }
}

// The first queue's thread. As many events as fit the ring, however many come.
void network::look_round(u32 number) {
    if (number != 0) {
        return;
    }
    lock_guard guard(_configuring);
    event told;
    u32 count = 0;
    while (count < event_queue::entries && _controller.events().take(told)) {
        take(told);
        ++count;
    }
    _controller.events().give_back();
    if (count != 0) {
        _idle_interrupts.store(0, std::memory_order_relaxed);
    }
    look_for_life();
}

void network::look_for_life() {
    if (_idle_interrupts.load(std::memory_order_relaxed) >=
        nic::queue_pair::most_idle_interrupts) {
        complain(nic::trouble::interrupt_storm);
    }
    if (_longest_silence != never && now() - _last_keep_alive > _longest_silence) {
        complain(nic::trouble::lifeless);
    }
}

nic::trouble network::trouble_seen(u32 number) {
    if (number != 0) {
        return nic::trouble::none;
    }
    lock_guard guard(_configuring);
    return std::exchange(_seen, nic::trouble::none);
}

void network::take(const event& told) {
    const u32 bit = told.group < 32 ? 1u << told.group : 0;
    if ((_controller.enabled_groups() & bit) == 0) {
        log_warning("ena: an event of group {}", told.group);
        complain(nic::trouble::strange_event);
        return;
    }
    switch (static_cast<event_group>(told.group)) {
        case event_group::link:
            _link = (told.body[0] & 1) != 0;
            set_link(_link);
            break;
        case event_group::fatal:
            complain(nic::trouble::failed);
            break;
        case event_group::reset_request:
            complain(nic::trouble::wants_reset);
            break;
        case event_group::keep_alive:
            _last_keep_alive = now();
            break;
        case event_group::notification:
            if (told.kind == event::new_hints) {
                hints_feature hints;
                __builtin_memcpy(&hints, told.body, sizeof(hints));
                take_hints(hints);
            }
            break;
        case event_group::warning:
            log_warning("ena: the device warns ({})", told.kind);
            break;
    }
}

// ---- recovery ----

bool network::worth_a_reset(nic::trouble what) {
    _reason = reason_of(what);
    return what != nic::trouble::interrupt_storm;
}

// Frames that the device has not sent are lost, and counted.
void network::forget_frames() {
    for (const unique<side>& each : _sides) {
        each->service.count_lost(each->rings.transmits().in_flight());
        each->rings.clear();
    }
}

result<void> network::restart() {
    TRY(_controller.reset(_reason));
    forget_frames();
    TRY(_controller.negotiate_again());
    const device_attributes& of = _controller.offered().attributes;
    if (__builtin_memcmp(mac().bytes, of.mac, sizeof(of.mac)) != 0 || of.largest_mtu < _mtu) {
        log_error("ena: another card since its reset");
        return err::nodev;
    }
    TRY(create_queues());
    TRY(spread_frames());
    go();
    return {};
}

void network::switch_off() {
    _machine.cut_off();
    _machine.silence();
}

}  // namespace kiln::ena
