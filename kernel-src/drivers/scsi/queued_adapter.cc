#include "drivers/scsi/queued_adapter.hh"

#include "core/log.hh"

namespace kiln::scsi {
namespace {

constexpr u32 most_attempts = 3;

}  // namespace

result<void> queued_adapter::open(u32 requests) {
    _slots.init(requests);
    TRY(bring_up());
    irq_guard guard(_lock);
    _open = true;
    return {};
}

// ---- requests ----

bool queued_adapter::submit(u32 number) {
    irq_guard guard(_lock);
    if (_open) {
        give(number);
    }
    return _open;
}

// The interrupt may be lost, or the adapter dead.
void queued_adapter::wait_for(u32 number, u32 seen) {
    for (u32 times = 1; !_slots.wait(number, deadline_after(_patience)); ++times) {
        log_warning("{}: has not answered for {} s", _driver, times * _patience / ns_per_s);
        (void)take_finished();
        if (_slots.in_flight(number) && (times > 1 || at_fault())) {
            reset(seen);
        }
    }
}

result<answer> queued_adapter::execute(u32 target, const command_block& command, direction data,
                                       std::span<const dma_piece> pieces) {
    for (u32 attempt = 0; attempt < most_attempts && !_given_up; ++attempt) {
        const u32 seen = _generation.load(std::memory_order_acquire);
        const u32 number = _slots.take();
        const u64 asked = describe(number, target, command, data, pieces);
        outcome how = outcome::again;
        if (submit(number)) {
            wait_for(number, seen);
            how = _slots.outcome_of(number);
        }
        const answer given = how == outcome::good ? read_answer(number, asked) : answer();
        _slots.release(number);
        if (how == outcome::good) {
            return given;
        }
        reset(seen);
    }
    return err::io;
}

// ---- completions and errors ----

// Whether there was something.
bool queued_adapter::take_finished() {
    irq_guard guard(_lock);
    _took_any = false;
    if (_open && !take_answers()) {
        // Nothing is given to it any more. Those who waited reset.
        _open = false;
        _took_any = true;
        _slots.finish_all(outcome::again);
    }
    return _took_any;
}

void queued_adapter::on_own_interrupt() {
    if (!_watch.is_endless(take_finished())) {
        return;
    }
    log_error("{}: interrupts without end; it is not used any more", _driver);
    _given_up = true;
    close();
    cut_off();
    irq_guard guard(_lock);
    _slots.finish_all(outcome::again);
}

void queued_adapter::close() {
    irq_guard guard(_lock);
    _open = false;
}

bool queued_adapter::restart() {
    auto brought_up = bring_up();
    if (!brought_up.ok()) {
        log_error("{}: does not come back after a reset (error {}); it is not used any more",
                  _driver, brought_up.error());
        return false;
    }
    irq_guard guard(_lock);
    _open = true;
    return true;
}

void queued_adapter::reset(u32 seen) {
    lock_guard guard(_reset_lock);
    if (_generation.load(std::memory_order_relaxed) != seen || _given_up) {
        return;
    }
    close();
    bool good = seen < most_resets;
    if (good) {
        log_warning("{}: is reset", _driver);
    } else {
        log_error("{}: was reset {} times; it is not used any more", _driver, seen);
    }
    if (!quieten() && good) {
        log_error("{}: does not react to a reset; it is not used any more", _driver);
        good = false;
    }
    if (!good) {
        cut_off();
    }
    _slots.finish_all(outcome::again);
    if (good && !restart()) {
        good = false;
        cut_off();
    }
    if (!good || _given_up) {
        _given_up = true;
        close();
        _slots.finish_all(outcome::again);
    }
    _generation.fetch_add(1, std::memory_order_release);
}

}  // namespace kiln::scsi
