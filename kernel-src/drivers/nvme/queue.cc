#include "drivers/nvme/queue.hh"

#include <atomic>

#include "core/page.hh"
#include "lib/assert.hh"

namespace kiln::nvme {

static_assert(queue_pair::most_entries * sizeof(command) == page_size);

void queue_pair::init(u32 entries, void* submission, void* completion) {
    KILN_DEBUG_ASSERT(entries >= 2 && entries <= most_entries);
    _submission = static_cast<command*>(submission);
    _completion = static_cast<nvme::completion*>(completion);
    _entries = entries;
    _tail = 0;
    _head = 0;
    _phase = 1;
}

u32 queue_pair::put(const command& made) {
    _submission[_tail] = made;
    _tail = _tail + 1 == _entries ? 0 : _tail + 1;
    return _tail;
}

bool queue_pair::take(completion& next) {
    completion& entry = _completion[_head];
    // The device writes the phase last; what else it wrote is there once the phase is.
    const u16 status = std::atomic_ref<u16>(entry.status).load(std::memory_order_acquire);
    if ((status & 1) != _phase) {
        return false;
    }
    next = entry;
    next.status = status;
    if (++_head == _entries) {
        _head = 0;
        _phase ^= 1;
    }
    return true;
}

}  // namespace kiln::nvme
