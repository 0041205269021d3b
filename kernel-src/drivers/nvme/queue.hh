// A submission queue and its completion queue, the driver's side (NVM Express Base 1.4, 4.1).
//
// Not locked: the owner's lock guards every call. Nothing the device writes is used as an index
// here; the command's number in a completion is the owner's to check.
#pragma once

#include "drivers/nvme/commands.hh"

namespace kiln::nvme {

class queue_pair {
public:
    static constexpr u32 most_entries = 64;  // so that either queue fits into a page

    // Both are pages of zeros, and outlive the queue. `entries`: 2 to most_entries.
    void init(u32 entries, void* submission, void* completion);
    u32 entries() const { return _entries; }
    // At most this many commands may be in flight: a queue that looks empty must be empty.
    u32 most_in_flight() const { return _entries - 1; }

    // Places a command; returns the tail that the submission doorbell wants.
    u32 put(const command& made);
    // The next completion; false when there is none.
    bool take(completion& next);
    // What the completion doorbell wants after take().
    u32 head() const { return _head; }

private:
    command* _submission = nullptr;
    completion* _completion = nullptr;
    u32 _entries = 0;
    u32 _tail = 0;
    u32 _head = 0;
    u16 _phase = 1;
};

}  // namespace kiln::nvme
