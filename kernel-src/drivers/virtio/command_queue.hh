// A virtqueue of requests that threads wait for: each has a number, by which its driver keeps what the
// device needs beside the data.
//
//   number = commands.take() → the driver describes the request → commands.run(number, segments, …)
//   → commands.release(number)
//
// Threads wait for a free number, and for room in the ring. Lock: `_lock`, before that of the numbers;
// take_finished takes it in the interrupt handler.
#pragma once

#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "drivers/block/request_slots.hh"
#include "drivers/virtio/doorbell.hh"
#include "drivers/virtio/queue.hh"

namespace kiln::virtio {

class command_queue : noncopyable {
public:
    static constexpr u32 most_requests = 32;
    using outcome = request_slots::outcome;

    // What happens whenever a request has not been answered for a while.
    struct patience {
        u64 duration;
        void (*expired)(void* context);
        void* context;
    };

    queue& ring() { return _ring; }
    // When the ring has its memory.
    void open(doorbell bell);

    u32 take() { return _slots.take(); }
    void release(u32 number) { _slots.release(number); }
    // good: answered; again: the device was reset, or the queue is closed. Segments that the device
    // reads come first.
    outcome run(u32 number, std::span<const segment> segments, const patience& waiting);

    // Takes what the device has answered, and says whether there was `any`; false when it broke the
    // ring. Context: any.
    [[nodiscard]] bool take_finished(bool& any);
    [[nodiscard]] bool take_finished() {
        bool any = false;
        return take_finished(any);
    }

    // Nothing is given to the device until restart. Context: any.
    void close();
    // Ends what is in flight. The device leaves its memory alone, or its threads see to that.
    void fail_in_flight() { _slots.finish_all(outcome::again); }
    // After a reset of the device: an empty ring, still closed until reopen().
    void restart();
    void reopen();

private:
    enum class submission : u8 { accepted, ring_full, refused };
    submission submit(u32 number, std::span<const segment> segments);
    bool submit_when_room(u32 number, std::span<const segment> segments);

    queue _ring;
    doorbell _bell;
    irq_spinlock _lock;
    wait_queue _room;  // descriptors have become free
    request_slots _slots;
    bool _open = false;
};

}  // namespace kiln::virtio
