#include "drivers/ena/controller.hh"

#include "core/clock.hh"
#include "core/log.hh"

namespace kiln::ena {
namespace {

constexpr u32 wanted_groups = bit_of(event_group::link) | bit_of(event_group::fatal) |
                              bit_of(event_group::warning) | bit_of(event_group::notification) |
                              bit_of(event_group::keep_alive) |
                              bit_of(event_group::reset_request);

}  // namespace

result<void> controller::init() {
    TRY(_hardware.init(_machine));
    TRY(_admin.allocate());
    TRY(_events.allocate());
    TRY(_spread.allocate());
    TRY(_host_information.allocate(page_size));
    auto& about = *_host_information.as<host_information>();
    about.cpus = static_cast<u16>(_machine.cpus());
    about.location = _machine.location();
    return {};
}

result<void> controller::start_queues() {
    TRY(_admin.start(_hardware));
    TRY(_events.start(_hardware));
    // The admin queue is looked at; its interrupt is that of events too, and stays.
    _hardware.write(reg::interrupt_mask, 0);
    TRY(tell_host(_admin, _host_information));
    _offer = TRY(ask_offer(_admin));
    _hardware.use_extended_reasons(
        (_offer.attributes.capabilities & device_attributes::extended_reasons) != 0);
    if (const u16 hint = _offer.hints.command_ms; hint != 0 && hint != hints_feature::no_timeout) {
        _admin.set_patience(u64{hint} * ns_per_ms);
    }
    return set_events();
}

result<void> controller::set_events() {
    _groups = _offer.events.supported & wanted_groups;
    auto outcome = set_feature(_admin, feature::events, event_feature{0, _groups});
    if (outcome.ok() || !only_refused(outcome.error())) {
        return outcome;
    }
    log_warning("ena: the device tells no events");
    _groups = 0;
    return {};
}

result<void> controller::negotiate() {
    TRY(start_queues());
    _plan = TRY(choose_plan(_offer, _machine));
    if (!_plan.push.used) {
        return {};
    }
    auto outcome = set_push();
    if (outcome.ok() || !only_refused(outcome.error())) {
        return outcome;
    }
    log_warning("ena: the device does not let its memory be used for descriptors");
    _offer.push = {};
    _plan = TRY(choose_plan(_offer, _machine));
    return {};
}

result<void> controller::negotiate_again() {
    TRY(start_queues());
    if (!still_fits(_offer, _plan)) {
        log_error("ena: the device offers less than before its reset");
        return err::opnotsupp;
    }
    return _plan.push.used ? set_push() : result<void>();
}

result<void> controller::set_push() {
    return set_feature(_admin, feature::push, choice_of(_offer, _plan.push));
}

result<void> controller::set_mtu(u32 mtu) {
    if (!_offer.has(feature::mtu)) {
        return {};
    }
    auto outcome = set_feature(_admin, feature::mtu, mtu);
    return outcome.ok() || only_refused(outcome.error()) ? result<void>() : std::move(outcome);
}

// Where the device says that it wants to be written: never outside its own registers.
bool controller::is_register(u32 where) const {
    return is_aligned(where, sizeof(u32)) && where + sizeof(u32) <= _machine.register_bytes();
}

result<u64> controller::lines_at(const submission_queue_made& made) const {
    const u64 end = made.device_ring + u64{_plan.transmit_depth} * push_plan::line_bytes;
    if (!is_aligned(made.device_ring, sizeof(u64)) || end > _machine.push_bytes()) {
        log_error("ena: a queue outside the device's memory, at {:x}", made.device_ring);
        return err::proto;
    }
    return u64{made.device_ring};
}

result<completion_queue_made> controller::create_completions(u64 ring, u32 depth,
                                                             u32 entry_bytes, u32 number) {
    create_completion_queue asked{};
    asked.mode = _plan.interrupts ? create_completion_queue::interrupts : 0;
    asked.entry_words = static_cast<u8>(entry_bytes / sizeof(u32));
    asked.depth = static_cast<u16>(depth);
    asked.message = _plan.interrupts ? number + 1 : 0;
    asked.ring = bus_address_of(ring);
    const answer got = TRY(_admin.run(make_command(opcode::create_completion, asked)));
    const auto made = body_of<completion_queue_made>(got);
    if (!is_register(made.interrupt_register) || (made.depth != 0 && made.depth != depth)) {
        log_error("ena: a completion queue of {} entries with its register at {:x}", made.depth,
                  made.interrupt_register);
        return err::proto;
    }
    return made;
}

result<submission_queue_made> controller::create_submissions(create_submission_queue asked) {
    asked.shape = create_submission_queue::contiguous;
    const answer got = TRY(_admin.run(make_command(opcode::create_submission, asked)));
    const auto made = body_of<submission_queue_made>(got);
    if (!is_register(made.doorbell)) {
        log_error("ena: a queue with its doorbell at {:x}", made.doorbell);
        return err::proto;
    }
    return made;
}

result<submission_queue_made> controller::create_transmits(const queue& of, u16 completions) {
    create_submission_queue asked{};
    asked.direction = create_submission_queue::transmits;
    asked.placement = _plan.push.used ? create_submission_queue::in_device
                                      : create_submission_queue::in_memory;
    asked.completion_queue = completions;
    asked.depth = static_cast<u16>(_plan.transmit_depth);
    asked.ring = bus_address_of(_plan.push.used ? 0 : of.transmits().ring_place());
    return create_submissions(asked);
}

result<submission_queue_made> controller::create_receives(const queue& of, u16 completions) {
    create_submission_queue asked{};
    asked.direction = create_submission_queue::receives;
    asked.placement = create_submission_queue::in_memory;
    asked.completion_queue = completions;
    asked.depth = static_cast<u16>(_plan.receive_depth);
    asked.ring = bus_address_of(of.receives().ring_place());
    return create_submissions(asked);
}

result<void> controller::create(queue& made, u32 number) {
    const auto sent = TRY(create_completions(made.transmits().completions_place(),
                                             _plan.transmit_depth, sizeof(u64), number));
    const auto sends = TRY(create_transmits(made, sent.index));
    const auto received =
        TRY(create_completions(made.receives().completions_place(), _plan.receive_depth,
                               sizeof(receive_completion), number));
    const auto takes = TRY(create_receives(made, received.index));
    const u64 lines = _plan.push.used ? TRY(lines_at(sends)) : 0;
    made.open({sends.doorbell, lines, takes.doorbell, sent.interrupt_register, takes.index});
    return {};
}

result<void> controller::spread_over(std::span<const u16> queues) {
    return _spread.program(_admin, _offer, queues);
}

}  // namespace kiln::ena
