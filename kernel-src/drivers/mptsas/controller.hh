// A Fusion-MPT controller as an adapter for SCSI disks: its protocol, without how it is found and how
// it interrupts. Time-outs and resets are drivers/scsi/queued_adapter.hh's.
//
// Requests, replies, sense data and lists lie in one block of memory, all below or all above any
// 4 GiB, as the controller is told the upper half of addresses once.
#pragma once

#include "drivers/mptsas/handshake.hh"
#include "drivers/scsi/queued_adapter.hh"

namespace kiln::mptsas {

class controller : public scsi::queued_adapter {
public:
    static constexpr u32 most_requests = 32;
    static constexpr usize longest_transfer = 1 * MiB;

    explicit controller(registers& of, const patience& waiting = {},
                        u64 command_patience = 30 * ns_per_s)
        : queued_adapter("mptsas", command_patience), _registers(of), _waiting(waiting),
          _handshake(of, _waiting) {}

    // Resets it, so that it has no business with memory before it may reach that.
    result<void> prepare();
    // After prepare, when it may reach memory and its interrupts arrive.
    result<void> start();
    u32 targets() const { return _targets; }
    transfer_limits limits() const override { return {.longest = longest_transfer}; }
    void on_interrupt(bool is_own = false);

protected:
    ~controller() = default;

private:
    struct shared_memory;

    result<void> ask_facts();
    result<void> initialise();
    result<void> enable_port();
    u64 describe(u32 number, u32 target, const scsi::command_block& command, scsi::direction data,
                 std::span<const dma_piece> pieces) override;
    void give(u32 number) override;
    bool take_answers() override;
    bool take_short(u32 number);
    bool take_long(u32 said);
    scsi::answer read_answer(u32 number, u64 asked) const override;
    bool at_fault() const override;
    bool quieten() override;
    result<void> bring_up() override;

    registers& _registers;
    const patience _waiting;
    handshake _handshake;
    shared_memory* _memory = nullptr;
    scsi_reply _answers[most_requests]{};
    u32 _reply_count = 0;
    u32 _lent = 0;  // a bit a reply frame that the controller has
    u32 _requests = 0;
    u32 _targets = 0;
    u8 _most_devices = 0;
    u8 _most_buses = 0;
};

}  // namespace kiln::mptsas
