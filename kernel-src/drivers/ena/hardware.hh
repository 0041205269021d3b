// The device's registers: how they are read, and its reset with the time-outs that it states.
//
// A register that may not be read is asked for: the device writes its value into memory.
// No locks: one thread at a time. Context: threads.
#pragma once

#include "drivers/ena/machine.hh"
#include "drivers/ena/memory.hh"
#include "drivers/ena/registers.hh"

namespace kiln::ena {

class hardware {
public:
    result<void> init(machine& by);
    // Every queue is gone afterwards, and the device knows nothing of our memory but where it puts
    // registers. err::timedout, err::nodev and err::opnotsupp (too old) come with a line in the
    // log.
    result<void> reset(reset_reason why);

    machine& card() const { return *_machine; }
    void write(u32 where, u32 value) { _machine->write(where, value); }
    void write_address(u32 where, u64 place);
    // The device stated them at the last reset.
    u64 command_patience() const { return _command_patience; }
    bool reaches(u64 place, usize size) const { return place + size <= _reach; }
    u64 reach() const { return _reach; }
    // Of later resets: devices that know reasons above 15 want them in another field.
    void use_extended_reasons(bool known) { _extended_reasons = known; }

private:
    result<u32> read(u32 where);
    result<u32> ask(u32 where);
    result<void> wait_for_reset(bool running, u32 timeout);
    result<void> check_version();
    result<void> take_capabilities(capabilities stated);
    u32 reset_command(reset_reason why) const;

    machine* _machine = nullptr;
    dma_memory _answer;
    u16 _last_request = 0;
    u64 _command_patience = 0;
    u64 _reach = 0;
    bool _extended_reasons = false;
};

}  // namespace kiln::ena
