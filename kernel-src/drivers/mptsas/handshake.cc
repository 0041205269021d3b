#include "drivers/mptsas/handshake.hh"

#include "drivers/poll.hh"
#include "lib/assert.hh"

namespace kiln::mptsas {

bool handshake::wait_for_state(u32 wanted, u64 how_long) {
    return poll_until([&] { return state() == wanted; }, how_long);
}

bool handshake::wait_for_doorbell(u64 how_long) {
    return poll_until(
        [&] { return (_registers.read(reg::interrupt_status) & interrupt_doorbell) != 0; },
        how_long);
}

bool handshake::wait_until_taken() {
    return poll_until(
        [&] { return (_registers.read(reg::interrupt_status) & doorbell_is_full) == 0; },
        _waiting.word);
}

bool handshake::send(std::span<const u32> request) {
    _registers.write(reg::interrupt_status, 0);
    _registers.write(reg::doorbell, doorbell::handshake | static_cast<u32>(request.size())
                                                              << doorbell::words_shift);
    if (!wait_for_doorbell(_waiting.word) ||
        (_registers.read(reg::doorbell) & doorbell::active) == 0) {
        return false;
    }
    _registers.write(reg::interrupt_status, 0);
    if (!wait_until_taken()) {
        return false;
    }
    for (const u32 word : request) {
        _registers.write(reg::doorbell, word);
        if (!wait_until_taken()) {
            return false;
        }
    }
    return true;
}

// Answers come in halves of words.
result<u32> handshake::receive_half(u64 end) {
    const u64 time = now();
    if (!wait_for_doorbell(end > time ? end - time : 0)) {
        return err::io;
    }
    const u32 half = _registers.read(reg::doorbell) & 0xffff;
    _registers.write(reg::interrupt_status, 0);
    return half;
}

result<void> handshake::receive(std::span<u32> reply) {
    constexpr usize length_half = 1;
    const u64 end = deadline_after(_waiting.answer);
    usize halves = 2;
    for (usize i = 0; i < halves; ++i) {
        const u32 half = TRY(receive_half(end));
        if (i == length_half) {
            halves = (half & 0xff) * 2;
        }
        if (i / 2 < reply.size()) {
            reply[i / 2] |= half << (i % 2 * 16);
        }
    }
    // It says that this was all.
    (void)wait_for_doorbell(_waiting.word);
    _registers.write(reg::interrupt_status, 0);
    return halves / 2 >= sizeof(reply_head) / sizeof(u32) ? result<void>() : err::io;
}

result<void> handshake::ask(std::span<const u32> request, std::span<u32> reply) {
    KILN_DEBUG_ASSERT(reply.size_bytes() >= sizeof(reply_head));
    for (u32& word : reply) {
        word = 0;
    }
    if (!send(request)) {
        return err::io;
    }
    TRY(receive(reply));
    reply_head head;
    __builtin_memcpy(&head, reply.data(), sizeof(head));
    const bool answers_it = head.function == static_cast<u8>(request[0] >> 24);
    return answers_it && (head.status & status_mask) == status::good ? result<void>() : err::io;
}

bool handshake::reset() {
    _registers.write(reg::interrupt_mask, interrupt_doorbell | interrupt_reply);
    _registers.write(reg::doorbell, doorbell::reset_message_unit);
    if (wait_for_state(doorbell::ready, _waiting.reset)) {
        return true;
    }
    for (const u32 key : diagnostic_keys) {
        _registers.write(reg::write_sequence, key);
    }
    _registers.write(reg::diagnostic, diagnostic_reset);
    return wait_for_state(doorbell::ready, _waiting.reset);
}

}  // namespace kiln::mptsas
