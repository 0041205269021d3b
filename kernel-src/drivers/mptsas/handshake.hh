// Messages by the doorbell, word by word: how a controller is asked and set up before its queues work.
// Not locked: whoever sets the controller up is alone with it. Context: threads, no spin locks.
#pragma once

#include <span>

#include "core/clock.hh"
#include "drivers/mptsas/layout.hh"
#include "drivers/mptsas/registers.hh"
#include "lib/result.hh"

namespace kiln::mptsas {

// How long to wait: for a word of the doorbell, for the answer to a message, for a reset.
struct patience {
    u64 word = 5 * ns_per_s;
    u64 answer = 60 * ns_per_s;
    u64 reset = 20 * ns_per_s;
};

class handshake {
public:
    handshake(registers& of, const patience& waiting) : _registers(of), _waiting(waiting) {}

    u32 state() { return _registers.read(reg::doorbell) & doorbell::state_mask; }
    bool wait_for_state(u32 wanted, u64 how_long);
    // Sends a message and takes the answer's start; the rest of a longer one is passed over. err::io
    // when the controller does not keep to the protocol, or answers another question or with an error.
    result<void> ask(std::span<const u32> request, std::span<u32> reply);
    // Ends whatever it does, by its doorbell or, where it does not listen, by its diagnostic register.
    // Then it is ready and leaves memory alone. False when it is not.
    bool reset();

private:
    bool wait_for_doorbell(u64 how_long);
    bool wait_until_taken();
    bool send(std::span<const u32> request);
    result<u32> receive_half(u64 end);
    result<void> receive(std::span<u32> reply);

    registers& _registers;
    const patience& _waiting;
};

}  // namespace kiln::mptsas
