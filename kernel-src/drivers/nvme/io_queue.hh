// One I/O queue of a controller: its commands in flight, and the threads that wait for them.
//
// Locks: `_lock` (innermost but for that of the slots) guards the rings and `_open`; taken by the
// interrupt handler. Context: take_finished from any, the others from threads.
#pragma once

#include <span>

#include "drivers/block/request_slots.hh"
#include "drivers/block/sector_disk.hh"
#include "drivers/nvme/queue.hh"

namespace kiln::nvme {

class io_queue : noncopyable {
public:
    using outcome = request_slots::outcome;

    // Takes the memory that the queue needs. Once, before the first open().
    result<void> allocate(u32 entries);
    u32 entries() const { return _pair.entries(); }
    u64 submission_address() const;
    u64 completion_address() const;

    // Empties the rings, for a controller that has just been reset and does not know them yet.
    void clear();
    // The controller knows the queue: commands are accepted.
    void open(volatile u8* submission_doorbell, volatile u8* completion_doorbell);
    // No command is accepted any more. Those in flight stay until fail_in_flight.
    void close();
    void fail_in_flight(outcome how) { _slots.finish_all(how); }

    // Moves `pieces` by one command, or none for a flush. Waits until it is finished, or until
    // `deadline` has passed again and again: then asks `give_up(context)` what to do. `again`: the
    // queue was closed before or meanwhile, and nothing is known of the command.
    struct patience {
        u64 duration;
        void (*expired)(void* context);
        void* context;
    };
    outcome run(command made, std::span<const dma_piece> pieces, const patience& waiting);

    // Ends the commands that the device has finished, and says whether there were `any`. False when it
    // has finished one that is not in flight, or more than there can be: it is not to be trusted.
    bool take_finished(bool& any);
    bool take_finished() {
        bool any = false;
        return take_finished(any);
    }
    // The status code of the last command that failed.
    u32 last_error() const { return _last_error.load(std::memory_order_relaxed); }

private:
    bool submit(command& made, std::span<const dma_piece> pieces, u32 number);

    queue_pair _pair;
    irq_spinlock _lock;
    request_slots _slots;
    void* _submission = nullptr;
    void* _completion = nullptr;
    std::byte* _lists = nullptr;  // a list of pages for each slot
    volatile u8* _submission_doorbell = nullptr;
    volatile u8* _completion_doorbell = nullptr;
    bool _open = false;
    std::atomic<u32> _last_error{0};
};

}  // namespace kiln::nvme
