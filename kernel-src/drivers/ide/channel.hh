// A channel of an IDE adapter: one command at a time for the one or two disks on it, by DMA.
//
// Who has the channel's only slot is alone with its registers, but for the interrupt handler. A channel
// that lies, is silent for a minute or stays busy is reset and the command given again; after too many
// resets, or interrupts without end, it is switched off.
//
// Locks: `_bounce_lock` (sleeping); `_lock`, which guards `_waiting` and what the handler has seen;
// that of the slot.
#pragma once

#include <span>

#include "core/clock.hh"
#include "core/mutex.hh"
#include "core/spinlock.hh"
#include "drivers/ata/commands.hh"
#include "drivers/ata/identity.hh"
#include "drivers/block/request_slots.hh"
#include "drivers/block/sector_disk.hh"
#include "drivers/ide/registers.hh"
#include "lib/result.hh"

namespace kiln::ide {

// The machine's ports, so that the protocol runs in the host tests.
class ports {
public:
    virtual u8 in8(u16 port) = 0;
    virtual u16 in16(u16 port) = 0;
    virtual void out8(u16 port, u8 value) = 0;
    virtual void out32(u16 port, u32 value) = 0;
    // The adapter must not reach memory any more, nor interrupt.
    virtual void cut_off() = 0;

protected:
    ~ports() = default;
};

// How long to wait: for a device that is busy, for a command, for a device after a reset.
struct patience {
    u64 busy = 10 * ns_per_s;
    u64 command = 30 * ns_per_s;
    u64 reset = 31 * ns_per_s;
};

struct task {
    ata::command what;
    u32 unit = 0;
    u64 sector = 0;
    u32 sectors = 0;
    bool is_long = false;   // addresses of 48 bits
    bool to_device = false;
};

class channel : noncopyable {
public:
    static constexpr u32 most_resets = 20;
    static constexpr usize memory_size = 4 * page_size;

    // `name` outlives it.
    channel(ports& by, u16 command, u16 control, std::string_view name,
            const patience& waiting = {})
        : _ports(by), _command(command), _control(control), _name(name), _waiting_for(waiting) {}

    // Asks unit 0 or 1 what it is, without interrupts. err::nodev where there is no disk.
    result<ata::disk_identity> identify(u32 unit);
    // From here on run() works. `memory`: memory_size bytes below 4 GiB.
    void start(u16 bus_master, void* memory);
    result<void> run(const task& what, std::span<const dma_piece> pieces);
    void on_interrupt();

private:
    using outcome = request_slots::outcome;

    u8 in(u16 offset) { return _ports.in8(static_cast<u16>(_command + offset)); }
    void out(u16 offset, u8 value) { _ports.out8(static_cast<u16>(_command + offset), value); }
    u8 master_in(u16 offset) { return _ports.in8(static_cast<u16>(_master + offset)); }
    void master_out(u16 offset, u8 value) {
        _ports.out8(static_cast<u16>(_master + offset), value);
    }

    bool select(u32 unit);
    bool wait_until_idle(u64 how_long);
    bool reaches(std::span<const dma_piece> pieces) const;
    void describe(std::span<const dma_piece> pieces);
    void write_address(const task& what);
    outcome run_once(const task& what, std::span<const dma_piece> pieces);
    result<void> run_direct(const task& what, std::span<const dma_piece> pieces);
    result<void> run_through_bounce(const task& what, std::span<const dma_piece> pieces);
    bool begin(const task& what, std::span<const dma_piece> pieces);
    bool wait_for_end();
    outcome judge(bool moves);
    void recover();
    void give_up();

    ports& _ports;
    const u16 _command;
    const u16 _control;
    u16 _master = 0;
    const std::string_view _name;
    const patience _waiting_for;
    region* _table = nullptr;
    std::byte* _bounce = nullptr;
    mutex _bounce_lock;  // before the slot
    u32 _resets = 0;
    std::atomic<bool> _gone{false};

    irq_spinlock _lock;
    request_slots _slot;
    bool _waiting = false;  // a command runs
    u8 _status = 0;
    u8 _master_status = 0;
    u32 _strays = 0;  // interrupts in a row without a command that ended
};

}  // namespace kiln::ide
