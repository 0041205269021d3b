// The ring in which the device tells what happens to it. Not locked.
#pragma once

#include "drivers/ena/commands.hh"
#include "drivers/ena/hardware.hh"

namespace kiln::ena {

class event_queue {
public:
    static constexpr u32 entries = 16;

    result<void> allocate() { return _ring.allocate(entries * sizeof(event)); }
    // Empty, as after a reset. The device tells nothing until it is allowed to.
    result<void> start(hardware& device);
    void allow();
    // The next event; false when there is none.
    bool take(event& next);
    // The device may use the places of those that were taken.
    void give_back();

private:
    hardware* _device = nullptr;
    dma_memory _ring;
    u32 _taken = 0;  // free-running
    u32 _told = 0;
};

}  // namespace kiln::ena
