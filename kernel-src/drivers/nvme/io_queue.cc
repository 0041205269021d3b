#include "drivers/nvme/io_queue.hh"

#include <algorithm>
#include <bit>

#include "core/page.hh"
#include "drivers/dma.hh"
#include "drivers/mmio.hh"
#include "drivers/nvme/prp.hh"

namespace kiln::nvme {
namespace {

constexpr u32 most_commands = 32;
constexpr usize list_size = list_entries * sizeof(u64);

}  // namespace

result<void> io_queue::allocate(u32 entries) {
    const usize commands = std::min(entries - 1, most_commands);
    const usize list_pages = align_up(commands * list_size, page_size) >> page_shift;
    page* submission = TRY(alloc_zeroed_page());
    page* completion = TRY(alloc_zeroed_page());
    page* lists = TRY(alloc_pages(static_cast<u32>(std::bit_width(list_pages - 1))));
    _submission = page_data(*submission);
    _completion = page_data(*completion);
    _lists = static_cast<std::byte*>(page_data(*lists));
    _pair.init(entries, _submission, _completion);
    _slots.init(static_cast<u32>(commands));
    return {};
}

u64 io_queue::submission_address() const {
    return dma_address(_submission);
}

u64 io_queue::completion_address() const {
    return dma_address(_completion);
}

void io_queue::clear() {
    irq_guard guard(_lock);
    __builtin_memset(_submission, 0, page_size);
    __builtin_memset(_completion, 0, page_size);
    _pair.init(_pair.entries(), _submission, _completion);
}

void io_queue::open(volatile u8* submission_doorbell, volatile u8* completion_doorbell) {
    irq_guard guard(_lock);
    _submission_doorbell = submission_doorbell;
    _completion_doorbell = completion_doorbell;
    _open = true;
}

void io_queue::close() {
    irq_guard guard(_lock);
    _open = false;
}

bool io_queue::submit(command& made, std::span<const dma_piece> pieces, u32 number) {
    std::byte* list = _lists + number * list_size;
    if (!pieces.empty()) {
        describe(pieces, reinterpret_cast<u64*>(list), dma_address(list), made.data);
    }
    made.id = static_cast<u16>(number);
    irq_guard guard(_lock);
    if (!_open) {
        return false;
    }
    const u32 tail = _pair.put(made);
    device_fence();
    mmio_write<u32>(_submission_doorbell, 0, tail);
    return true;
}

io_queue::outcome io_queue::run(command made, std::span<const dma_piece> pieces,
                                const patience& waiting) {
    const u32 number = _slots.take();
    outcome how = outcome::again;
    if (submit(made, pieces, number)) {
        while (!_slots.wait(number, deadline_after(waiting.duration))) {
            waiting.expired(waiting.context);
        }
        how = _slots.outcome_of(number);
    }
    _slots.release(number);
    return how;
}

bool io_queue::take_finished(bool& any) {
    irq_guard guard(_lock);
    completion finished;
    u32 taken = 0;
    bool sane = true;
    while (_open && sane && _pair.take(finished)) {
        if (!finished.good()) {
            _last_error.store(finished.code(), std::memory_order_relaxed);
        }
        // More than a ring of them at once are made up.
        sane = ++taken <= _pair.entries() &&
               _slots.finish(finished.id, finished.good() ? outcome::good : outcome::failed);
    }
    if (taken != 0) {
        any = true;
        mmio_write<u32>(_completion_doorbell, 0, _pair.head());
    }
    return sane;
}

}  // namespace kiln::nvme
