// The model's registers, reset, events and interrupts.
#include <cstring>

#include "lib/assert.hh"
#include "tests/ena/card.hh"

namespace kiln::ena::model {
namespace {

constexpr u32 event_entries = 16;

}  // namespace

traits::traits() {
    for (const feature each :
         {feature::attributes, feature::extended_queue_limits, feature::hash_function,
          feature::offloads, feature::spread_table, feature::mtu, feature::hash_input,
          feature::moderation, feature::events, feature::host_attributes, feature::hints,
          feature::push}) {
        features |= bit_of(each);
    }
    push.queues = 8;
    push.depth = 512;
    push.locations = push_feature::inline_headers;
    push.entry_sizes = push_feature::entries_of_128;
    push.before_header = 1 | 2 | 4;
    push.strides = 3;
}

card::card() : _memory(is.memory) {}

u32 card::value_of(u32 where) const {
    if (does.gone) {
        return reg::gone;
    }
    switch (where) {
        case reg::version: return 0x0002'0000 >> 8;
        case reg::controller_version: return is.controller;
        case reg::capabilities:
            return 1 | is.reset_units << 1 | is.address_bits << 8 | is.command_units << 16;
        case reg::status: return does.not_ready ? 0 : _status;
        default: return 0;
    }
}

u32 card::read(u32 where) {
    KILN_ASSERT(is.registers_can_be_read);
    return value_of(where);
}

void card::answer_read(u32 request) {
    if (does.silent_reads || _answer_place == 0) {
        return;
    }
    auto& to = *reinterpret_cast<read_answer*>(_answer_place);
    to.where = static_cast<u16>((request >> 16) + (does.wrong_register ? 4 : 0));
    to.value = value_of(request >> 16);
    __atomic_store_n(&to.number, static_cast<u16>(request), __ATOMIC_RELEASE);
}

// It forgets everything, where it may write included.
void card::reset(u32 value) {
    if ((value & control::reset) == 0) {
        _status = does.reset_never_ends ? _status : status::ready;
        return;
    }
    if (does.reset_never_begins || does.silent_resets != 0) {
        does.silent_resets -= does.silent_resets != 0 ? 1 : 0;
        return;
    }
    ++resets;
    last_reason = value >> control::reason_shift;
    _status = status::ready | status::in_reset;
    _answer_place = _commands = _answers = _events = 0;
    _commands_taken = _answers_written = _events_written = _events_allowed = 0;
    _completions.clear();
    _pairs.clear();
    _table.clear();
    _held.clear();
    _armed.clear();
    _pending.clear();
    _key = {};
    _push = {};
}

void card::write(u32 where, u32 value) {
    KILN_ASSERT(where % 4 == 0 && where < registers);
    if (is_cut_off) {
        return;
    }
    const auto half = [&](u64& place, bool upper) {
        constexpr u64 lower = 0xffff'ffff;
        place = upper ? (place & lower) | u64{value} << 32 : (place & ~lower) | value;
    };
    switch (where) {
        case reg::control: reset(value); return;
        case reg::read_request: answer_read(value); return;
        case reg::read_answer_low:
        case reg::read_answer_low + 4: half(_answer_place, where != reg::read_answer_low); return;
        case reg::commands_low:
        case reg::commands_low + 4: half(_commands, where != reg::commands_low); return;
        case reg::answers_low:
        case reg::answers_low + 4: half(_answers, where != reg::answers_low); return;
        case reg::events_low:
        case reg::events_low + 4: half(_events, where != reg::events_low); return;
        case reg::commands_doorbell: take_commands(value); return;
        case reg::events_doorbell: _events_allowed = value; return;
        case reg::commands_shape:
        case reg::answers_shape: KILN_ASSERT(value == queue_shape(32, 64)); return;
        case reg::events_shape: KILN_ASSERT(value == queue_shape(event_entries, 64)); return;
        case reg::interrupt_mask: return;
        default: break;
    }
    if (where >= unmasks) {
        const u32 index = (where - unmasks) / 4;
        KILN_ASSERT(index < _completions.size() && (value & interrupt::unmask) != 0);
        delays = (value & interrupt::keep_delays) != 0 ? delays : value & 0x3fff'ffff;
        const u32 message = _completions[index].message;
        _armed[message] = true;
        if (_pending[message]) {
            raise(_completions[index]);
        }
        return;
    }
    KILN_ASSERT(where >= doorbells);
    const u32 number = (where - doorbells) / 8;
    ring(number, where % 8 == 0, value);
}

// ---- interrupts and events ----

result<void> card::connect(u32 message, void (*handler)(void*), void* context, u32) {
    KILN_ASSERT(message < is.messages);
    _connected[message] = {handler, context};
    return {};
}

void card::interrupt(u32 message) {
    ++_fired[message];
    if (_connected.contains(message) && !is_silent) {
        _connected[message].handler(_connected[message].context);
    }
}

void card::raise(completions& by) {
    _pending[by.message] = true;
    if (by.interrupts && _armed[by.message]) {
        _armed[by.message] = _pending[by.message] = false;
        interrupt(by.message);
    }
}

void card::tell(event_group group, u32 word, u16 kind) {
    event told{};
    told.group = static_cast<u16>(group);
    told.kind = kind;
    told.body[0] = word;
    tell_raw(told);
}

void card::tell_raw(const event& told) {
    if (_events == 0 || _events_written == _events_allowed) {
        return;  // no place
    }
    auto& to = reinterpret_cast<event*>(_events)[_events_written % event_entries];
    event made = told;
    const bool round = (_events_written / event_entries) % 2 == 0;
    made.flags = to.flags;
    std::memcpy(&to, &made, sizeof(made));
    __atomic_store_n(&to.flags, round ? event::phase : u8{0}, __ATOMIC_RELEASE);
    ++_events_written;
    interrupt(0);
}

}  // namespace kiln::ena::model
