// A port of an AHCI adapter and the disk behind it.
//
// Commands are not queued in the disk (no NCQ): the adapter hands them over one after the other.
// After an error the adapter stops the port; the command that failed gets its error, the others are
// given again once a thread has started the port anew.
//
// Locks: `_recovery` (sleeping), then `_lock` (innermost but for that of the slots), which guards
// the issue register and `_running`; taken by the interrupt handler.
#pragma once

#include <atomic>

#include "drivers/ahci/registers.hh"
#include "drivers/ata/commands.hh"
#include "drivers/block/request_slots.hh"
#include "drivers/block/sector_disk.hh"

namespace kiln::ahci {

class port final : public sector_disk {
public:
    port(volatile u8* registers, u32 number, u32 slots)
        : _registers(registers), _number(number), _slot_count(slots) {}

    // Whether anything is connected; waits for a link that is coming up.
    bool has_device();
    // Asks what it is: false for what is no disk (a DVD drive). Once, before start().
    result<bool> find_disk();
    // The disk becomes usable under the name sd`letter`. Interrupts of the adapter are on.
    result<void> start(char letter);
    // The adapter has an interrupt for this port. False: there was nothing to do.
    bool on_interrupt();
    // The adapter is switched off. Context: any.
    void give_up();

    std::string_view name() const override { return {_name, sizeof(_name)}; }
    bool read_only() const override { return false; }
    result<void> flush() override;

private:
    using outcome = request_slots::outcome;

    u32 read_register(usize offset) const;
    void write_register(usize offset, u32 value);
    u32 link_state() const { return read_register(port_reg::sata_status) & port_reg::link_mask; }
    result<void> allocate();
    bool stop_engine();
    bool listen();
    bool start_engine();
    bool reset_link();
    void recover();
    bool take_finished();
    void end_after_error(u32 finished);

    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override;
    result<void> run(ata::command what, u64 sector, std::span<const dma_piece> pieces);
    outcome run_once(ata::command what, u64 sector, std::span<const dma_piece> pieces);
    void describe(u32 slot, ata::command what, u64 sector, std::span<const dma_piece> pieces);
    bool issue(u32 slot);
    void wait_for(u32 slot);

    volatile u8* _registers;
    const u32 _number;
    const u32 _slot_count;
    command_header* _list = nullptr;
    std::byte* _tables = nullptr;
    u32 _sector_size = 512;
    bool _has_write_cache = false;
    char _name[3]{'s', 'd', '?'};

    mutex _recovery;
    irq_spinlock _lock;
    request_slots _slots;
    u32 _issued = 0;        // a bit a slot that the adapter works on
    bool _running = false;  // false: the port has stopped by an error, or was never started
    std::atomic<bool> _gone{false};
};

}  // namespace kiln::ahci
