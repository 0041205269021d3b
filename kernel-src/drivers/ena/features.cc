#include "drivers/ena/features.hh"

#include <algorithm>
#include <string_view>

#include "core/log.hh"

namespace kiln::ena {
namespace {

constexpr std::string_view our_name = "Kiln";

template <class Body>
result<Body> get_optional(admin_queue& by, const offer& so_far, feature which, u8 version = 0) {
    if (!so_far.has(which)) {
        return Body{};
    }
    auto got = get_feature<Body>(by, which, version);
    return got.ok() || !only_refused(got.error()) ? std::move(got) : result<Body>(Body{});
}

extended_queue_limits extended(const queue_limits& old) {
    extended_queue_limits made{};
    made.version = extended_queue_limits::our_version;
    made.transmit_submissions = made.receive_submissions = old.submission_queues;
    made.transmit_completions = made.receive_completions = old.completion_queues;
    made.transmit_submission_depth = made.receive_submission_depth = old.submission_depth;
    made.transmit_completion_depth = made.receive_completion_depth = old.completion_depth;
    made.header_bytes = old.header_bytes;
    made.sent_pieces = old.sent_pieces;
    made.received_pieces = old.received_pieces;
    return made;
}

result<extended_queue_limits> ask_limits(admin_queue& by, const offer& so_far) {
    if (!so_far.has(feature::extended_queue_limits)) {
        return extended(TRY(get_feature<queue_limits>(by, feature::queue_limits)));
    }
    const auto got = TRY(get_feature<extended_queue_limits>(by, feature::extended_queue_limits,
                                                            extended_queue_limits::our_version));
    if (got.version != extended_queue_limits::our_version) {
        log_error("ena: limits of queues in form {}, which is not known", got.version);
        return err::opnotsupp;
    }
    return got;
}

}  // namespace

result<answer> run_feature(admin_queue& by, opcode code, feature_command asked,
                           const control_buffer& with) {
    if (!by.reaches(with.place, with.size)) {
        return err::nomem;
    }
    asked.buffer = bus_address_of(with.place);
    asked.buffer_bytes = with.size;
    command made = make_command(code, asked);
    made.flags = with.size != 0 ? command::has_buffer : 0;
    return by.run(made);
}

result<offer> ask_offer(admin_queue& by) {
    offer made{};
    made.attributes = TRY(get_feature<device_attributes>(by, feature::attributes));
    made.limits = TRY(ask_limits(by, made));
    made.offloads = TRY(get_optional<offload_feature>(by, made, feature::offloads));
    made.events = TRY(get_optional<event_feature>(by, made, feature::events));
    made.hints = TRY(get_optional<hints_feature>(by, made, feature::hints));
    made.moderation = TRY(get_optional<moderation_feature>(by, made, feature::moderation));
    made.push =
        TRY(get_optional<push_feature>(by, made, feature::push, push_feature::our_version));
    return made;
}

// Asked before the attributes, so that nobody knows whether the device wants to be told.
result<void> tell_host(admin_queue& by, const dma_memory& information) {
    auto& about = *information.as<host_information>();
    about.system = host_information::like_linux;
    std::copy(our_name.begin(), our_name.end(), about.distribution);
    std::copy(our_name.begin(), our_name.end(), about.kernel);
    about.driver_version = 1;
    about.specification = host_information::our_specification;
    about.knows = host_information::knows_moderation | host_information::sets_hash |
                  host_information::sums_ipv6;
    host_feature told{};
    told.information = bus_address_of(information.place());
    auto outcome = set_feature(by, feature::host_attributes, told);
    return outcome.ok() || only_refused(outcome.error()) ? result<void>() : outcome;
}

}  // namespace kiln::ena
