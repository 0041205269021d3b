#include "drivers/xen/block_queue.hh"

#include <algorithm>

#include "drivers/dma.hh"

namespace kiln::xen {
namespace {

constexpr u32 ring_sector = 512;
constexpr u32 requests = front_ring<block_request, block_response>::size;
static_assert(requests <= request_slots::most);
static_assert(block_queue::most_segments <= segments_of_a_page);
static_assert(block_queue::most_segments <= block_queue::most_pages);

// Calls `copy(part of the piece, place in a page)` for all bytes of the pieces, in order.
template <class Copy>
void pair_up(std::span<const dma_piece> pieces, std::span<granted_page* const> pages, Copy copy) {
    usize at = 0;
    for (const dma_piece& piece : pieces) {
        std::byte* memory = dma_memory(piece.address);
        for (usize left = piece.length; left != 0;) {
            const usize offset = at % page_size;
            const usize step = std::min(left, page_size - offset);
            copy(memory, pages[at / page_size]->data() + offset, step);
            memory += step;
            at += step;
            left -= step;
        }
    }
}

usize bytes_of(std::span<const dma_piece> pieces) {
    usize sum = 0;
    for (const dma_piece& piece : pieces) {
        sum += piece.length;
    }
    return sum;
}

block_segment segment_of(const granted_page& page, usize bytes) {
    const usize sectors = std::min(bytes, page_size) / ring_sector;
    return {page.reference(), 0, static_cast<u8>(sectors - 1), 0};
}

}  // namespace

result<void> block_queue::open(grant_table& in, u16 domain) {
    _ring_page = TRY(granted_page::make(in, domain, grant_access::read_write));
    _ring.init(_ring_page.data());
    _slots.init(requests);
    return {};
}

result<void> block_queue::connect(grant_table& in, u16 domain, u32 segments, doorbell bell,
                                  u16 device) {
    _segments = std::min(segments, most_segments);
    TRY(_pool.open(in, domain, _segments, most_pages));
    if (_segments > most_direct_segments) {
        // To be written too: a backend that keeps grants mapped maps all of them that way.
        TRY(add_granted_pages(_segment_pages, requests, in, domain, grant_access::read_write));
    }
    irq_guard guard(_lock);
    _bell = bell;
    _device = device;
    _open = true;
    return {};
}

void block_queue::put_direct(const transfer& asked, u64 id) {
    block_request made{};
    made.operation = asked.what;
    made.segment_count = static_cast<u8>(asked.pages.size());
    made.device = _device;
    made.id = id;
    made.sector = asked.sector;
    for (usize i = 0; i < asked.pages.size(); ++i) {
        made.segments[i] = segment_of(*asked.pages[i], asked.bytes - i * page_size);
    }
    _ring.put(made);
}

void block_queue::put_indirect(const transfer& asked, u32 number, u64 id) {
    auto* segments = reinterpret_cast<block_segment*>(_segment_pages[number].data());
    for (usize i = 0; i < asked.pages.size(); ++i) {
        segments[i] = segment_of(*asked.pages[i], asked.bytes - i * page_size);
    }
    indirect_block_request made{};
    made.operation = block_operation::indirect;
    made.indirect_operation = asked.what;
    made.segment_count = static_cast<u16>(asked.pages.size());
    made.id = id;
    made.sector = asked.sector;
    made.device = _device;
    made.segment_pages[0] = _segment_pages[number].reference();
    _ring.put(made);
}

bool block_queue::submit(const transfer& asked, u32 number) {
    irq_guard guard(_lock);
    // There is room, as there are no more numbers than places; unless the backend has taken some of
    // them by answers that ended the ring.
    if (!_open || _ring.room() == 0) {
        return false;
    }
    const u64 id = u64{++_uses} << 32 | number;
    _expected[number] = id;
    if (asked.pages.size() > most_direct_segments) {
        put_indirect(asked, number, id);
    } else {
        put_direct(asked, id);
    }
    if (_ring.publish()) {
        _bell.ring();
    }
    return true;
}

block_queue::outcome block_queue::wait(u32 number, const patience& waiting) {
    while (!_slots.wait(number, deadline_after(waiting.duration))) {
        waiting.expired(waiting.context);
    }
    switch (_slots.outcome_of(number)) {
        case request_slots::outcome::good: return outcome::good;
        case request_slots::outcome::failed:
            return _status[number] == block_status::not_supported ? outcome::not_supported
                                                                  : outcome::failed;
        default: return outcome::closed;
    }
}

block_queue::outcome block_queue::run(block_operation what, u64 sector,
                                      std::span<const dma_piece> pieces, const patience& waiting) {
    granted_page* memory[most_segments];
    const usize bytes = bytes_of(pieces), count = align_up(bytes, page_size) >> page_shift;
    KILN_DEBUG_ASSERT(count <= _segments && bytes % ring_sector == 0);
    const std::span<granted_page*> pages(memory, count);
    const u32 number = _slots.take();
    _pool.take(pages);
    if (what == block_operation::write) {
        pair_up(pieces, pages, [](std::byte* ours, std::byte* shared, usize size) {
            __builtin_memcpy(shared, ours, size);
        });
    }
    const bool accepted = submit({what, sector, bytes, pages}, number);
    const outcome how = accepted ? wait(number, waiting) : outcome::closed;
    if (what == block_operation::read && how == outcome::good) {
        pair_up(pieces, pages, [](std::byte* ours, std::byte* shared, usize size) {
            __builtin_memcpy(ours, shared, size);
        });
    }
    _pool.give_back(pages);
    _slots.release(number);
    return how;
}

bool block_queue::finish(const block_response& response) {
    const u64 number = response.id & ~u32{0};
    if (number >= requests || response.id == 0 || _expected[number] != response.id) {
        return false;
    }
    _expected[number] = 0;
    _status[number] = response.status;
    const bool good = response.status == block_status::good;
    return _slots.finish(static_cast<u32>(number), good ? request_slots::outcome::good
                                                        : request_slots::outcome::failed);
}

// Whether there were any.
bool block_queue::take_responses(bool& sane) {
    block_response response;
    bool any = false;
    while (sane) {
        const ring_state state = _ring.take(response);
        if (state == ring_state::none) {
            break;
        }
        any = true;
        sane = state == ring_state::response && finish(response);
    }
    return any;
}

bool block_queue::take_finished() {
    irq_guard guard(_lock);
    bool sane = true, any = false;
    while (_open && sane) {
        any = take_responses(sane) || any;
        _ring.ask_for_event();
        if (!_ring.has_response()) {
            break;
        }
    }
    _idle_events = any ? 0 : _idle_events + 1;
    return sane && _idle_events < most_idle_events;
}

void block_queue::close() {
    {
        irq_guard guard(_lock);
        _open = false;
    }
    _slots.finish_all(request_slots::outcome::again);
}

}  // namespace kiln::xen
