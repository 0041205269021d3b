// The model's queues of frames, and how it spreads what arrives.
#include <algorithm>
#include <cstring>

#include "lib/assert.hh"
#include "lib/bytes.hh"
#include "tests/ena/card.hh"

namespace kiln::ena::model {
namespace {

const std::byte* memory_at(u64 place) {
    return reinterpret_cast<const std::byte*>(place);
}

// The hash of Toeplitz: for each bit of the input that is set, the 32 bits of the key from there.
u32 toeplitz(const hash_key& key, std::span<const u8> input, u32 initial) {
    const auto* bytes = reinterpret_cast<const u8*>(key.words);
    const auto bit = [&](usize i) { return (bytes[i / 8 % 40] >> (7 - i % 8)) & 1u; };
    u32 hash = initial;
    for (usize i = 0; i < input.size() * 8; ++i) {
        if (((input[i / 8] >> (7 - i % 8)) & 1) != 0) {
            u32 window = 0;
            for (usize j = 0; j < 32; ++j) {
                window = window << 1 | bit(i + j);
            }
            hash ^= window;
        }
    }
    return hash;
}

}  // namespace

// ---- sending ----

void card::push(u64 where, std::span<const u64> line) {
    KILN_ASSERT(where + line.size_bytes() <= _memory.size() && line.size_bytes() == 128);
    std::memcpy(&_memory[where], line.data(), line.size_bytes());
    longest_burst = std::max(longest_burst, ++_pushed_lines);
}

void card::ring(u32 number, bool transmits, u32 tail) {
    KILN_ASSERT(number < _pairs.size());
    submissions& queue = transmits ? _pairs[number].transmit : _pairs[number].receive;
    const u32 more = (tail - queue.told) & 0xffff;
    KILN_ASSERT(queue.told + more - queue.taken < queue.depth);
    queue.told += more;
    if (transmits) {
        _pushed_lines = 0;
        while (queue.taken != queue.told) {
            send_one(number);
        }
    }
}

void card::send_one(u32 number) {
    sent_frame made{};
    made.queue = number;
    u32 id = 0;
    if (_pairs[number].transmit.in_device) {
        assemble_lines(number, made, id);
    } else {
        assemble(number, made, id);
    }
    sent.push_back(made);
    if (does.holds_sent) {
        _held.push_back({number, id});
    } else {
        complete_sent(number, id);
    }
}

void card::send_held() {
    for (const held& each : std::exchange(_held, {})) {
        complete_sent(each.number, each.id);
    }
}

// Whether there are more of this frame.
bool card::add(const transmit_descriptor& next, sent_frame& to, u32& id) {
    const u32 word = next.words[0];
    if ((word & descriptor::is_metadata) != 0) {
        KILN_ASSERT((word & metadata_word::valid) != 0 && !to.has_metadata && to.bytes.empty());
        to.has_metadata = true;
        to.metadata[0] = word;
        to.metadata[1] = next.words[2];
        return true;
    }
    if ((word & descriptor::report) != 0) {
        id = next.words[1] >> transmit_word::id_low_shift |
             ((word >> transmit_word::id_high_shift) & 0x3f) << transmit_word::id_low_bits;
        to.asked = next.words[1] & ((1u << transmit_word::id_low_shift) - 1);
        to.header = next.words[3] >> transmit_word::header_shift;
    }
    const u64 place = next.words[2] | u64{next.words[3] & 0xffff} << 32;
    to.bytes.append(reinterpret_cast<const char*>(memory_at(place)),
                    word & descriptor::length_mask);
    return (word & descriptor::last) == 0;
}

void card::assemble(u32 number, sent_frame& to, u32& id) {
    submissions& from = _pairs[number].transmit;
    bool first = true;
    for (bool more = true; more; first = false) {
        KILN_ASSERT(from.taken != from.told);
        transmit_descriptor next;
        std::memcpy(&next, memory_at(from.place) + from.taken % from.depth * sizeof(next),
                    sizeof(next));
        const bool round = (from.taken / from.depth) % 2 == 0;
        KILN_ASSERT(((next.words[0] & descriptor::phase) != 0) == round);
        KILN_ASSERT(((next.words[0] & descriptor::first) != 0) == first);
        more = add(next, to, id);
        ++from.taken;
    }
}

void card::assemble_lines(u32 number, sent_frame& to, u32& id) {
    submissions& from = _pairs[number].transmit;
    std::string header;
    bool first = true;
    for (bool more = true; more;) {
        KILN_ASSERT(from.taken != from.told);
        const u8* line = &_memory[lines_of(number) + from.taken % from.depth * 128u];
        const u32 room = first ? _push.descriptors_before : 8u;
        const bool round = (from.taken / from.depth) % 2 == 0;
        for (u32 i = 0; i < room && more; ++i, first = false) {
            transmit_descriptor next;
            std::memcpy(&next, line + i * sizeof(next), sizeof(next));
            KILN_ASSERT(((next.words[0] & descriptor::phase) != 0) == round);
            KILN_ASSERT(((next.words[0] & descriptor::first) != 0) == first);
            more = add(next, to, id);
        }
        if (header.empty()) {
            header.assign(reinterpret_cast<const char*>(line) + room * 16u, 128 - room * 16u);
        }
        ++from.taken;
    }
    to.pushed = to.header;
    KILN_ASSERT(to.pushed <= header.size());
    to.bytes = header.substr(0, to.pushed) + to.bytes;
}

void card::complete_sent(u32 number, u32 id, u32 flags) {
    completions& by = _completions[_pairs[number].transmit.completed_by];
    const u64 phase = (by.written / by.depth) % 2 == 0 ? sent_word::phase : 0;
    auto* to = reinterpret_cast<u64*>(by.place) + by.written % by.depth;
    __atomic_store_n(to, u64{id} | u64{flags} << 24 | phase, __ATOMIC_RELEASE);
    ++by.written;
    raise(by);
}

// ---- receiving ----

u32 card::buffers(u32 number) const {
    return _pairs[number].receive.told - _pairs[number].receive.taken;
}

void card::complete_received(u32 number, u32 status, u32 length, u32 id, u32 offset) {
    completions& by = _completions[_pairs[number].receive.completed_by];
    auto& to = reinterpret_cast<receive_completion*>(by.place)[by.written % by.depth];
    const u32 phase = (by.written / by.depth) % 2 == 0 ? received_status::phase : 0;
    to.length_and_id = length | id << 16;
    to.place = offset << 16;
    __atomic_store_n(&to.status, (status & ~received_status::phase) | phase, __ATOMIC_RELEASE);
    ++by.written;
    raise(by);
}

u32 card::hash_of(const std::string& frame) const {
    const auto* bytes = reinterpret_cast<const u8*>(frame.data());
    const bool is_tcp4 = frame.size() >= 38 && load_be<u16>(bytes + 12) == 0x0800;
    if (!is_tcp4 || _key.words_used == 0) {
        return 0;
    }
    std::vector<u8> input(bytes + 26, bytes + 38);  // addresses, ports
    if ((_sorts & 2) != 0 && std::memcmp(&input[0], &input[4], 4) > 0) {
        std::swap_ranges(input.begin(), input.begin() + 4, input.begin() + 4);
    }
    if ((_sorts & 4) != 0 && std::memcmp(&input[8], &input[10], 2) > 0) {
        std::swap_ranges(input.begin() + 8, input.begin() + 10, input.begin() + 10);
    }
    return toeplitz(_key, input, ~u32{0});
}

int card::pair_of(const std::string& frame) const {
    if (_table.empty()) {
        return -1;
    }
    const int number = _table[hash_of(frame) % _table.size()] - int{first_receive};
    return number >= 0 && static_cast<u32>(number) < _pairs.size() ? number : -1;
}

bool card::arrive(const std::string& frame, u32 flags) {
    const int number = pair_of(frame);
    if (number < 0) {
        ++lost.no_table;
        return false;
    }
    submissions& from = _pairs[static_cast<u32>(number)].receive;
    for (usize done = 0; done < frame.size();) {
        if (from.taken == from.told || is_cut_off) {
            ++lost.no_buffer;
            return false;
        }
        receive_descriptor to;
        std::memcpy(&to, memory_at(from.place) + from.taken % from.depth * sizeof(to), sizeof(to));
        const bool round = (from.taken / from.depth) % 2 == 0;
        KILN_ASSERT(((to.flags & receive_descriptor::phase) != 0) == round);
        const usize part = std::min<usize>(frame.size() - done, to.length);
        std::memcpy(reinterpret_cast<void*>(to.address_low | u64{to.address_high} << 32),
                    frame.data() + done, part);
        ++from.taken;
        const u32 ends = (done == 0 ? received_status::first : 0) |
                         (done + part == frame.size() ? received_status::last : 0);
        complete_received(static_cast<u32>(number), ends | flags, static_cast<u32>(part), to.id);
        done += part;
    }
    return true;
}

}  // namespace kiln::ena::model
