#include "drivers/ena/plan.hh"

#include <algorithm>
#include <bit>

#include "core/log.hh"
#include "drivers/ena/descriptors.hh"
#include "net/packet_buffer.hh"

namespace kiln::ena {
namespace {

constexpr u32 least_depth = 32, fewest_descriptors = 2;
constexpr u32 sent_delay_us = 64;
// In the order of our liking.
constexpr u32 possible_before_header[] = {2, 1, 4};

push_plan choose_push(const push_feature& offered, u64 memory) {
    push_plan made;
    const bool fits = (offered.locations & push_feature::inline_headers) != 0 &&
                      (offered.entry_sizes & push_feature::entries_of_128) != 0 &&
                      (offered.strides & push_feature::several_a_line) != 0;
    if (!fits || memory == 0 || offered.queues == 0 || offered.depth < least_depth) {
        return made;
    }
    for (const u32 count : possible_before_header) {
        if ((offered.before_header & count) != 0) {
            made.used = true;
            made.before_header = count;
            break;
        }
    }
    if ((offered.modes & push_feature::limited_bursts) != 0) {
        made.burst = std::max<u32>(offered.burst_bytes / push_plan::line_bytes, 1);
    }
    return made;
}

u32 transmit_queues(const offer& from, const push_plan& push) {
    const u32 submissions = push.used ? from.push.queues : from.limits.transmit_submissions;
    return std::min(submissions, from.limits.transmit_completions);
}

u32 transmit_depth(const offer& from, const push_plan& push) {
    const u32 submissions = push.used ? from.push.depth : from.limits.transmit_submission_depth;
    return std::bit_floor(
        std::min({usual_depth, submissions, from.limits.transmit_completion_depth}));
}

u32 receive_depth(const offer& from) {
    return std::bit_floor(std::min({usual_depth, from.limits.receive_submission_depth,
                                    from.limits.receive_completion_depth}));
}

// Flows are spread over several queues only by a table: without one, all arrive on one.
u32 choose_pairs(const offer& from, const push_plan& push, const machine& in) {
    const u32 offered = std::min({transmit_queues(from, push), from.limits.receive_submissions,
                                  from.limits.receive_completions, most_pairs});
    // The first message is for events.
    const u32 messages = std::max(in.messages(), 2u) - 1;
    const u32 wanted = std::min({offered, in.cpus(), messages});
    return from.has(feature::spread_table) ? wanted : std::min(wanted, 1u);
}

void choose_rest(plan& made, const offer& from) {
    made.header_bytes =
        made.push.used
            ? push_plan::line_bytes -
                  made.push.before_header * static_cast<u32>(sizeof(transmit_descriptor))
            : std::min(from.limits.header_bytes, transmit_word::longest_header);
    made.most_descriptors =
        std::min<u32>(from.limits.sent_pieces, net::packet_buffer::max_fragments + 2);
    made.most_received = std::clamp<u32>(from.limits.received_pieces, 1,
                                         net::packet_buffer::max_fragments + 1);
    made.always_metadata =
        made.push.used && (from.push.modes & push_feature::no_stored_metadata) != 0;
    made.sums_ipv6 = (from.offloads.transmit & offload_feature::sum_ipv6) != 0;
    made.checks_zeros = (from.attributes.capabilities & device_attributes::checked_zeros) != 0;
    made.has_delays = from.moderation.microseconds != 0;
    made.delay_sent = made.has_delays ? sent_delay_us / from.moderation.microseconds : 0;
}

}  // namespace

result<plan> choose_plan(const offer& from, const machine& in) {
    plan made;
    made.push = choose_push(from.push, in.push_bytes());
    made.pairs = choose_pairs(from, made.push, in);
    made.transmit_depth = transmit_depth(from, made.push);
    made.receive_depth = receive_depth(from);
    made.interrupts = in.messages() >= 2;
    choose_rest(made, from);
    if (made.pairs == 0 || made.transmit_depth < least_depth || made.receive_depth < least_depth ||
        made.most_descriptors < fewest_descriptors) {
        log_error("ena: a device of {} pairs of queues with {} and {} entries, {} a frame",
                  made.pairs, made.transmit_depth, made.receive_depth, made.most_descriptors);
        return err::opnotsupp;
    }
    return made;
}

bool still_fits(const offer& now_offered, const plan& chosen) {
    const extended_queue_limits& limits = now_offered.limits;
    const push_plan push = choose_push(now_offered.push, 1);
    const bool push_fits =
        !chosen.push.used || (push.used && push.before_header == chosen.push.before_header);
    return push_fits && transmit_queues(now_offered, chosen.push) >= chosen.pairs &&
           limits.receive_submissions >= chosen.pairs &&
           limits.receive_completions >= chosen.pairs &&
           transmit_depth(now_offered, chosen.push) >= chosen.transmit_depth &&
           receive_depth(now_offered) >= chosen.receive_depth &&
           limits.sent_pieces >= chosen.most_descriptors;
}

push_feature choice_of(const offer& from, const push_plan& chosen) {
    push_feature made{};
    made.location = push_feature::inline_headers;
    made.entry_size = push_feature::entries_of_128;
    made.descriptors_before = static_cast<u16>(chosen.before_header);
    made.stride = push_feature::several_a_line;
    made.modes =
        from.push.modes & (push_feature::no_stored_metadata | push_feature::limited_bursts);
    return made;
}

}  // namespace kiln::ena
