// The model's admin queue: features and the making of queues.
#include <cstring>

#include "lib/assert.hh"
#include "tests/ena/card.hh"

namespace kiln::ena::model {
namespace {

constexpr u32 entries = 32;

answer refusal(answer_status why) {
    answer made{};
    made.status = static_cast<u8>(why);
    return made;
}

template <class Body>
answer reply(const Body& body) {
    answer made{};
    std::memcpy(made.body, &body, sizeof(body));
    return made;
}

template <class Body, class From>
Body part_of(const From& from) {
    Body made;
    std::memcpy(&made, from, sizeof(made));
    return made;
}

template <class T>
T& at(const bus_address& place) {
    return *reinterpret_cast<T*>(place_of(place));
}

}  // namespace

void card::take_commands(u32 tail) {
    for (; _commands_taken != tail; ++_commands_taken) {
        const auto& asked = reinterpret_cast<const command*>(_commands)[_commands_taken % entries];
        const bool round = (_commands_taken / entries) % 2 == 0;
        KILN_ASSERT(((asked.flags & command::phase) != 0) == round);
        if (does.silent_commands) {
            continue;
        }
        answer made = obey(asked);
        made.id = static_cast<u16>(asked.id + (does.wrong_command ? 5 : 0));
        write_answer(made);
    }
}

void card::write_answer(const answer& made) {
    auto& to = reinterpret_cast<answer*>(_answers)[_answers_written % entries];
    const bool round = (_answers_written / entries) % 2 == 0;
    answer whole = made;
    whole.flags = to.flags;
    std::memcpy(&to, &whole, sizeof(whole));
    __atomic_store_n(&to.flags, round ? answer::phase : u8{0}, __ATOMIC_RELEASE);
    ++_answers_written;
    interrupt(0);
}

answer card::obey(const command& asked) {
    switch (static_cast<opcode>(asked.code)) {
        case opcode::create_completion:
            return create_completions_for(part_of<create_completion_queue>(asked.body));
        case opcode::create_submission:
            return create_submissions_for(part_of<create_submission_queue>(asked.body));
        case opcode::get_feature:
        case opcode::set_feature:
            break;
        default:
            return refusal(answer_status::unknown_opcode);
    }
    const auto about = part_of<feature_command>(asked.body);
    KILN_ASSERT((about.buffer_bytes != 0) == ((asked.flags & command::has_buffer) != 0));
    if (does.refuses.contains(about.which)) {
        return refusal(does.refuses.at(about.which));
    }
    if ((is.features & (1u << about.which)) == 0 &&
        about.which != static_cast<u8>(feature::queue_limits)) {
        return refusal(answer_status::unsupported);
    }
    return static_cast<opcode>(asked.code) == opcode::get_feature ? get(about) : set(about);
}

// ---- queues ----

answer card::create_completions_for(const create_completion_queue& asked) {
    completions made;
    made.place = place_of(asked.ring);
    made.depth = asked.depth;
    made.message = asked.message;
    made.interrupts = (asked.mode & create_completion_queue::interrupts) != 0;
    const bool good = made.place % page_size == 0 && made.depth <= is.depth &&
                      (made.depth & (made.depth - 1)) == 0 &&
                      _completions.size() < 2 * is.queues &&
                      (!made.interrupts || made.message < is.messages);
    if (!good) {
        return refusal(answer_status::bad_parameter);
    }
    const auto index = static_cast<u16>(_completions.size());
    _completions.push_back(made);
    completion_queue_made told{};
    told.index = static_cast<u16>(first_completions + index);
    told.depth = asked.depth;
    told.interrupt_register = does.interrupt_outside ? registers : unmasks + index * 4u;
    return reply(told);
}

answer card::create_submissions_for(const create_submission_queue& asked) {
    submissions made;
    made.place = place_of(asked.ring);
    made.depth = asked.depth;
    made.completed_by = static_cast<u16>(asked.completion_queue - first_completions);
    made.in_device = asked.placement == create_submission_queue::in_device;
    const bool transmits = asked.direction == create_submission_queue::transmits;
    const bool good = made.completed_by < _completions.size() &&
                      made.place % page_size == 0 && (made.place == 0) == made.in_device &&
                      (!made.in_device || _push.location == push_feature::inline_headers);
    if (!good) {
        return refusal(answer_status::bad_parameter);
    }
    if (transmits) {
        _pairs.push_back({made, {}, false});
    } else {
        KILN_ASSERT(!_pairs.empty() && !_pairs.back().has_receive);
        _pairs.back().receive = made;
        _pairs.back().has_receive = true;
    }
    const u32 number = static_cast<u32>(_pairs.size()) - 1;
    submission_queue_made told{};
    told.index = static_cast<u16>((transmits ? first_transmit : first_receive) + number);
    told.doorbell =
        does.doorbell_outside ? registers + 64 : doorbells + number * 8 + (transmits ? 0 : 4);
    told.device_ring = does.lines_outside ? static_cast<u32>(is.memory) - 128 : lines_of(number);
    return reply(told);
}

// ---- features ----

answer card::get(const feature_command& asked) {
    switch (static_cast<feature>(asked.which)) {
        case feature::attributes: {
            device_attributes of{};
            of.features = is.features;
            of.capabilities = is.capabilities;
            std::memcpy(of.mac, is.mac, sizeof(of.mac));
            of.largest_mtu = is.largest_mtu;
            return reply(of);
        }
        case feature::queue_limits:
            return reply(queue_limits{is.queues, is.depth, is.queues, is.depth, 0, 0,
                                      is.header_bytes, static_cast<u16>(is.sent_pieces),
                                      static_cast<u16>(is.received_pieces)});
        case feature::extended_queue_limits:
            KILN_ASSERT(asked.version == 1);
            return reply(extended_queue_limits{1, {}, is.queues, is.queues, is.queues, is.queues,
                                               is.depth, is.depth, is.depth, is.depth,
                                               is.header_bytes, static_cast<u16>(is.sent_pieces),
                                               static_cast<u16>(is.received_pieces)});
        case feature::hints: return reply(is.hints);
        case feature::push: return reply(is.push);
        case feature::offloads: return reply(is.offloads);
        case feature::events: return reply(event_feature{is.event_groups, 0});
        case feature::moderation: return reply(moderation_feature{is.delay_unit, 0});
        case feature::hash_function: return reply(hash_function_feature{2 | 4, 2, 0});
        case feature::hash_input:
            for (auto& each : at<hash_fields>(asked.buffer).supported) {
                each.fields = 0x3f;
            }
            return reply(hash_input_feature{6, 0});
        case feature::spread_table: return get_table(asked);
        default: return refusal(answer_status::unsupported);
    }
}

answer card::set(const feature_command& asked) {
    switch (static_cast<feature>(asked.which)) {
        case feature::push: _push = part_of<push_feature>(asked.value); break;
        case feature::mtu: mtu = asked.value[0]; break;
        case feature::host_attributes:
            host = at<host_information>(part_of<host_feature>(asked.value).information);
            break;
        case feature::hash_function:
            KILN_ASSERT(asked.buffer_bytes == sizeof(hash_key) && asked.value[1] == 2);
            _key = at<hash_key>(asked.buffer);
            break;
        case feature::hash_input:
            hash_input = at<hash_fields>(asked.buffer);
            _sorts = part_of<hash_input_feature>(asked.value).sorted;
            break;
        case feature::events: KILN_ASSERT((asked.value[1] & ~is.event_groups) == 0); break;
        case feature::spread_table: return set_table(asked);
        default: return refusal(answer_status::unsupported);
    }
    return {};
}

answer card::set_table(const feature_command& asked) {
    const auto told = part_of<spread_feature>(asked.value);
    const u32 count = 1u << told.size;
    KILN_ASSERT(told.size >= is.smallest_table && told.size <= is.largest_table);
    KILN_ASSERT(told.inline_index == ~0u && asked.buffer_bytes == count * sizeof(spread_entry));
    const auto* from = &at<spread_entry>(asked.buffer);
    _table.clear();
    for (u32 i = 0; i < count; ++i) {
        _table.push_back(does.other_table ? first_receive : from[i].queue);
    }
    return {};
}

answer card::get_table(const feature_command& asked) {
    const u32 count = asked.buffer_bytes / static_cast<u32>(sizeof(spread_entry));
    for (u32 i = 0; i < count && i < _table.size() && !does.mute_table; ++i) {
        (&at<spread_entry>(asked.buffer))[i].queue = _table[i];
    }
    return reply(spread_feature{is.smallest_table, is.largest_table, 7, 0, 0, 0, 0, 0});
}

}  // namespace kiln::ena::model
