#include "drivers/ena/admin_queue.hh"

#include "core/log.hh"
#include "drivers/poll.hh"

namespace kiln::ena {
namespace {

// The bit by which an entry of this round is known.
bool round_of(u32 index) {
    return (index / admin_queue::entries) % 2 == 0;
}

}  // namespace

result<void> admin_queue::allocate() {
    TRY(_commands.allocate(entries * sizeof(command)));
    return _answers.allocate(entries * sizeof(answer));
}

result<void> admin_queue::start(hardware& device) {
    _device = &device;
    _given = _taken = 0;
    _ended = true;
    if (!device.reaches(_commands.place(), _commands.size()) ||
        !device.reaches(_answers.place(), _answers.size())) {
        return err::nomem;
    }
    _commands.clear();
    _answers.clear();
    _patience = device.command_patience();
    device.write_address(reg::commands_low, _commands.place());
    device.write_address(reg::answers_low, _answers.place());
    device.write(reg::commands_shape, queue_shape(entries, sizeof(command)));
    device.write(reg::answers_shape, queue_shape(entries, sizeof(answer)));
    _ended = false;
    return {};
}

u16 admin_queue::place(command asked) {
    const u16 id = static_cast<u16>(_given % entries);
    asked.id = id;
    asked.flags = static_cast<u8>(asked.flags | (round_of(_given) ? command::phase : 0));
    _commands.as<command>()[_given % entries] = asked;
    ++_given;
    _device->write(reg::commands_doorbell, _given & 0xffff);
    return id;
}

bool admin_queue::has_answer() const {
    const u8 flags =
        __atomic_load_n(&_answers.as<answer>()[_taken % entries].flags, __ATOMIC_ACQUIRE);
    return ((flags & answer::phase) != 0) == round_of(_taken);
}

answer admin_queue::take() {
    answer got;
    __builtin_memcpy(&got, &_answers.as<answer>()[_taken % entries], sizeof(got));
    ++_taken;
    return got;
}

result<answer> admin_queue::run(command asked) {
    if (_ended) {
        return err::io;
    }
    const u16 id = place(asked);
    if (!poll_until([this] { return has_answer(); }, _patience)) {
        _ended = true;
        log_error("ena: no answer to admin command {} after {} ms", asked.code,
                  _patience / ns_per_ms);
        return err::timedout;
    }
    const answer got = take();
    if ((got.id & command::id_mask) != id) {
        _ended = true;
        log_error("ena: an answer to command {}, which is not under way", got.id);
        return err::proto;
    }
    TRY(outcome_of(asked, got));
    return got;
}

result<void> admin_queue::outcome_of(const command& asked, const answer& got) const {
    switch (static_cast<answer_status>(got.status)) {
        case answer_status::good:
            return {};
        case answer_status::unknown_opcode:
        case answer_status::unsupported:
            return err::opnotsupp;
        case answer_status::no_resources:
            return err::nospc;
        default:
            log_warning("ena: admin command {} is refused (status {}, {:x})", asked.code,
                        got.status, got.detail);
            return err::io;
    }
}

}  // namespace kiln::ena
