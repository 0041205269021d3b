// What SCSI adapters whose requests have numbers share: waiting, time-outs, resets.
//
// The device finishes requests by number. One that makes numbers up, says that it is at fault, or is
// silent for a minute is reset, and its requests are given again; one that has to be reset too often,
// does not come back, or interrupts without end is switched off.
//
// Locks: `_reset_lock`, then `_lock`, which take_finished takes in the interrupt handler, then that of
// the slots. What is marked so below is called with `_lock` held.
#pragma once

#include "core/clock.hh"
#include "core/mutex.hh"
#include "core/spinlock.hh"
#include "drivers/block/request_slots.hh"
#include "drivers/interrupt_watch.hh"
#include "drivers/scsi/disk.hh"

namespace kiln::scsi {

class queued_adapter : public adapter {
public:
    static constexpr u32 most_resets = 20;

    result<answer> execute(u32 target, const command_block& command, direction data,
                           std::span<const dma_piece> pieces) final;
    // The handler of its interrupts, those that are this device's.
    void on_own_interrupt();
    // The first bring_up().
    result<void> open(u32 requests);

protected:
    // `patience`: after how long a request is worth a warning, after twice that a reset.
    explicit queued_adapter(std::string_view driver, u64 patience = 30 * ns_per_s)
        : _driver(driver), _patience(patience) {}
    ~queued_adapter() = default;

    // Writes down request `number` in memory of its own; returns the bytes that it asks to move.
    virtual u64 describe(u32 number, u32 target, const command_block& command, direction data,
                         std::span<const dma_piece> pieces) = 0;
    // `_lock`: the device gets what was described.
    virtual void give(u32 number) = 0;
    // `_lock`: calls finish() for what is done. False when the device lies.
    virtual bool take_answers() = 0;
    // After finish(number).
    virtual answer read_answer(u32 number, u64 asked) const = 0;
    // Whether it says that it needs a reset.
    virtual bool at_fault() const { return false; }
    // Afterwards it leaves memory alone and has forgotten all requests. False: it does not answer.
    virtual bool quieten() = 0;
    // After quieten: it may be given requests.
    virtual result<void> bring_up() = 0;
    // It must not reach memory or interrupt any more.
    virtual void cut_off() = 0;

    // `_lock`: whether there is such a request. What read_answer needs is kept before it is finished.
    bool in_flight(u32 number) const { return _slots.in_flight(number); }
    void finish(u32 number) {
        _took_any = true;
        (void)_slots.finish(number, request_slots::outcome::good);
    }

private:
    using outcome = request_slots::outcome;

    bool take_finished();
    bool submit(u32 number);
    void close();
    void wait_for(u32 number, u32 seen);
    void reset(u32 seen);
    bool restart();

    const std::string_view _driver;
    const u64 _patience;
    irq_spinlock _lock;
    request_slots _slots;
    interrupt_watch _watch;
    bool _open = false;
    bool _took_any = false;  // since take_finished began
    mutex _reset_lock;
    std::atomic<u32> _generation{0};
    std::atomic<bool> _given_up{false};
};

}  // namespace kiln::scsi
