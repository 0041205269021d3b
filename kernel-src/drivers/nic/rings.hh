// One receive and one transmit ring of a network card, as its driver drives them. What is alike in
// all cards is in queue_pair.
//
// Receive calls come from the queue's thread alone, transmit calls under the queue's transmit lock.
// A ring keeps what it must not lose beside what the device sees: whatever the device writes can end
// the ring (broken), not corrupt the kernel.
#pragma once

#include "net/packet_buffer.hh"

namespace kiln::nic {

enum class received : u8 {
    none,     // the device has nothing finished
    frame,
    dropped,  // a frame that was bad, or for which there was no memory
    broken,   // the device wrote something impossible
};

enum class placed : u8 {
    on_ring,  // the ring owns the frame now
    no_room,
    refused,  // can never be sent
};

class rings : noncopyable {
public:
    virtual ~rings() = default;

    virtual received take(net::packet_ptr& frame) = 0;
    virtual bool has_received() const = 0;
    // Gives the device buffers in place of those that were taken; false when memory is out.
    virtual bool refill() = 0;

    virtual placed put(net::packet_buffer& frame) = 0;
    // Hands back what the device has sent; false when the ring is broken.
    virtual bool reap(net::packet_queue& sent) = 0;
    virtual bool has_sent() const = 0;
    // Whether frames have been on the ring for longer than the device may take to send them. Asked each
    // round, so it looks at the clock only where frames are under way.
    virtual bool is_overdue() { return false; }
    // Makes the device see what was put.
    virtual void tell_device() = 0;

    // Asks for the next interrupt: of a frame received and, with `sent`, of a frame sent.
    virtual void allow_interrupts(bool sent) = 0;
    // None of frames received until then. Cards that do not mask them as they interrupt need it.
    virtual void forbid_interrupts() {}

    // Both rings empty, as after a reset of the device, which must be stopped; the buffers are freed
    // and unsent frames are lost.
    virtual void clear() = 0;
};

}  // namespace kiln::nic
