// The pair of rings by which the device is configured: one command at a time, whose answer is
// waited for.
//
// An answer that does not come, or is to a command that was not given, ends the queue until the
// device has been reset.
// No locks: one thread at a time.
// Context: threads.
#pragma once

#include "drivers/ena/commands.hh"
#include "drivers/ena/hardware.hh"

namespace kiln::ena {

class admin_queue {
public:
    static constexpr u32 entries = 32;

    result<void> allocate();
    // Empty, as the device is after a reset.
    result<void> start(hardware& device);
    // err::opnotsupp when the device does not know such a command, err::io when it refuses it,
    // err::timedout or err::proto when the queue has ended.
    result<answer> run(command asked);
    void set_patience(u64 patience) { _patience = patience; }
    bool reaches(u64 place, usize size) const { return _device->reaches(place, size); }

private:
    u16 place(command asked);
    bool has_answer() const;
    answer take();
    result<void> outcome_of(const command& asked, const answer& got) const;

    hardware* _device = nullptr;
    dma_memory _commands, _answers;
    u64 _patience = 0;
    u32 _given = 0;  // free-running, and so is the other
    u32 _taken = 0;
    bool _ended = true;
};

}  // namespace kiln::ena
