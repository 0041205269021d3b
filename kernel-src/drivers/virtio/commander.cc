// kernel only
#include "drivers/virtio/commander.hh"

#include "core/clock.hh"
#include "core/log.hh"

namespace kiln::virtio {
namespace {

constexpr u64 command_patience = 30 * ns_per_s;

}  // namespace

result<void> commander::open(u16 index, u16 entries) {
    const u16 message = TRY(_device.connect(&on_interrupt, this, 0));
    const doorbell bell = TRY(_device.add_queue(index, _commands.ring(), entries, message));
    _commands.open(bell);
    return {};
}

command_queue::patience commander::patience() {
    return {command_patience, &on_expiry, this};
}

void commander::on_interrupt(void* context) {
    auto& self = *static_cast<commander*>(context);
    if (!self._commands.take_finished()) {
        self.distrust();
    }
}

// In an interrupt handler, or by a waiter: closes what could do harm. Those who waited reset.
void commander::distrust() {
    _commands.close();
    _commands.fail_in_flight();
}

// A request has taken long. The interrupt may be lost, or the device wants to be reset; a slow one is
// waited for, as the data may still be written to the caller's buffer.
void commander::on_expiry(void* context) {
    auto& self = *static_cast<commander*>(context);
    const u32 seen = self._generation.load(std::memory_order_acquire);
    log_warning("{}: has not answered for {} s", self._kind, command_patience / ns_per_s);
    on_interrupt(context);
    if (self._device.needs_reset()) {
        self.reset(seen);
    }
}

result<void> commander::bring_up() {
    _commands.restart();
    for (queue* each : _others) {
        each->restart();
    }
    TRY(_device.restart());
    _device.start();
    return {};
}

void commander::reset(u32 seen) {
    lock_guard guard(_reset_lock);
    if (_generation.load(std::memory_order_relaxed) != seen || _given_up) {
        return;
    }
    log_warning("{}: is reset", _kind);
    _commands.close();
    // Only then does it leave the buffers alone; one that does not answer is cut off from memory.
    const bool quiet = _device.stop().ok();
    if (!quiet) {
        _device.switch_off();
    }
    _commands.fail_in_flight();
    if (quiet && bring_up().ok()) {
        _commands.reopen();
    } else {
        _given_up = true;
        _device.switch_off();
        log_error("{}: cannot be reset; it is not used any more", _kind);
    }
    _generation.fetch_add(1, std::memory_order_release);
}

}  // namespace kiln::virtio
