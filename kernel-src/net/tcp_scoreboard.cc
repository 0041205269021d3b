#include "net/tcp_scoreboard.hh"

#include <algorithm>

namespace kiln::net {

void tcp_scoreboard::insert(usize at, seq_range fresh) {
    if (_count == capacity) {
        if (at == capacity) {
            return;
        }
        --_count;
    }
    std::copy_backward(_ranges + at, _ranges + _count, _ranges + _count + 1);
    _ranges[at] = fresh;
    ++_count;
}

void tcp_scoreboard::erase(usize from, usize to) {
    std::copy(_ranges + to, _ranges + _count, _ranges + from);
    _count -= to - from;
}

u32 tcp_scoreboard::add(seq_range block, u32 acknowledged, u32 sent) {
    // D-SACKs and nonsense lie at or below the acknowledgment or above what was sent.
    if (!seq_before(block.start, block.end) || !seq_before(acknowledged, block.start) ||
        !seq_at_or_before(block.end, sent)) {
        return 0;
    }
    const u32 before = bytes();
    usize first = 0;
    while (first < _count && seq_before(_ranges[first].end, block.start)) {
        ++first;
    }
    usize last = first;
    while (last < _count && seq_at_or_before(_ranges[last].start, block.end)) {
        block.start = seq_min(block.start, _ranges[last].start);
        block.end = seq_max(block.end, _ranges[last].end);
        ++last;
    }
    erase(first, last);
    insert(first, block);
    const u32 after = bytes();
    return after > before ? after - before : 0;
}

void tcp_scoreboard::advance(u32 acknowledged) {
    usize gone = 0;
    while (gone < _count && seq_at_or_before(_ranges[gone].end, acknowledged)) {
        ++gone;
    }
    erase(0, gone);
    if (_count != 0 && seq_before(_ranges[0].start, acknowledged)) {
        _ranges[0].start = acknowledged;
    }
}

u32 tcp_scoreboard::bytes() const {
    u32 total = 0;
    for (usize i = 0; i < _count; ++i) {
        total += _ranges[i].size();
    }
    return total;
}

u32 tcp_scoreboard::bytes_within(u32 from, u32 to) const {
    u32 total = 0;
    for (usize i = 0; i < _count; ++i) {
        const u32 start = seq_max(from, _ranges[i].start);
        const u32 end = seq_min(to, _ranges[i].end);
        total += seq_before(start, end) ? end - start : 0;
    }
    return total;
}

seq_range tcp_scoreboard::next_hole(u32 from, u32 limit) const {
    for (usize i = 0; i < _count; ++i) {
        if (seq_before(from, _ranges[i].start)) {
            limit = seq_min(limit, _ranges[i].start);
            break;
        }
        from = seq_max(from, _ranges[i].end);
    }
    return seq_before(from, limit) ? seq_range{from, limit} : seq_range{limit, limit};
}

u32 tcp_scoreboard::loss_edge(u32 lowest, u32 bytes) const {
    u32 above = 0;
    for (usize i = _count; i-- != 0;) {
        above += _ranges[i].size();
        if (above > bytes) {
            return _ranges[i].start;
        }
    }
    return lowest;
}

}  // namespace kiln::net
