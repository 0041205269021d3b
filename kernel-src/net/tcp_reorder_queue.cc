#include "net/tcp_reorder_queue.hh"

namespace kiln::net {
namespace {

u32 start_of(const packet_buffer& packet) {
    return static_cast<u32>(packet.sequence);
}

}  // namespace

u32 tcp_reorder_queue::end_of(const packet_buffer& packet) {
    return start_of(packet) + static_cast<u32>(packet.size());
}

void tcp_reorder_queue::insert(packet_ptr packet, u32 sequence) {
    _latest = sequence;
    packet_buffer** place = &_first;
    while (*place != nullptr && seq_at_or_before(start_of(**place), sequence)) {
        const u32 end = end_of(**place);
        if (seq_before(sequence, end)) {
            const u32 known = end - sequence;
            if (known >= packet->size()) {
                return;
            }
            packet->drop_front(known);
            sequence = end;
        }
        place = &(*place)->next;
    }
    const u32 end = sequence + static_cast<u32>(packet->size());
    // Whole packets behind it that it covers go; the one it runs into cuts it short.
    while (*place != nullptr && seq_at_or_before(end_of(**place), end)) {
        packet_ptr covered(*place);
        *place = covered->next;
        _true_size -= covered->true_size();
    }
    if (*place != nullptr && seq_before(start_of(**place), end)) {
        packet->trim(start_of(**place) - sequence);
    }
    packet->sequence = sequence;
    packet->next = *place;
    _true_size += packet->true_size();
    *place = packet.leak();
}

packet_ptr tcp_reorder_queue::take(u32 expected) {
    while (_first != nullptr && seq_at_or_before(start_of(*_first), expected)) {
        packet_ptr taken(_first);
        _first = taken->next;
        taken->next = nullptr;
        _true_size -= taken->true_size();
        const u32 known = expected - start_of(*taken);
        if (known < taken->size()) {
            taken->drop_front(known);
            return taken;
        }
    }
    return nullptr;
}

void tcp_reorder_queue::clear() {
    while (_first != nullptr) {
        packet_ptr gone(_first);
        _first = gone->next;
    }
    _true_size = 0;
}

usize tcp_reorder_queue::blocks(std::span<seq_range> to) const {
    usize count = 0;
    for (const packet_buffer* at = _first; at != nullptr;) {
        seq_range block{start_of(*at), end_of(*at)};
        for (at = at->next; at != nullptr && start_of(*at) == block.end; at = at->next) {
            block.end = end_of(*at);
        }
        const bool latest =
            seq_at_or_before(block.start, _latest) && seq_before(_latest, block.end);
        if (latest) {
            for (usize i = count < to.size() ? count : to.size() - 1; i > 0; --i) {
                to[i] = to[i - 1];
            }
            to[0] = block;
        } else if (count < to.size()) {
            to[count] = block;
        }
        count += count < to.size() ? 1 : 0;
    }
    return count;
}

}  // namespace kiln::net
