#include "drivers/virtio/commander.hh"

#include "core/clock.hh"
#include "core/log.hh"

namespace kiln::virtio {
namespace {

constexpr u64 command_patience = 30 * ns_per_s;

}  // namespace

result<void> commander::open(u16 index, u16 entries) {
    auto owner = TRY(make_unique<lane>());
    lane& made = *owner;
    made.of = this;
    TRY(_lanes.reserve(_lanes.size() + 1));
    const u16 message = TRY(_device.connect(&on_interrupt, &made, queues() % cpu_count()));
    auto bell = _device.add_queue(index, made.commands.ring(), entries, message);
    if (!bell.ok()) {
        owner.leak();  // its interrupt handler may run
        return bell.error();
    }
    made.commands.open(bell.value());
    return _lanes.push_back(std::move(owner));
}

command_queue::patience commander::patience() {
    return {command_patience, &on_expiry, this};
}

void commander::on_interrupt(void* context) {
    lane& mine = *static_cast<lane*>(context);
    commander& self = *mine.of;
    const bool worked = self.look_at(mine);
    // Without messages the line has been seen to be this device's, but it is that of all queues.
    if (mine.watch.is_endless(worked) && self._device.has_messages()) {
        self.switch_off();
    }
}

// Whether there was something.
bool commander::look_at(lane& of) {
    bool any = false;
    if (!of.commands.take_finished(any)) {
        distrust();
    }
    return any;
}

// In an interrupt handler.
void commander::switch_off() {
    log_error("{}: interrupts without end; it is not used any more", _kind);
    _given_up = true;
    distrust();
    _device.switch_off();
}

// In an interrupt handler, or by a waiter: closes what could do harm. Those who waited reset.
void commander::distrust() {
    for (const unique<lane>& each : _lanes) {
        each->commands.close();
        each->commands.fail_in_flight();
    }
}

// A request has taken long. The interrupt may be lost, or the device wants to be reset; a slow one is
// waited for, as the data may still be written to the caller's buffer.
void commander::on_expiry(void* context) {
    auto& self = *static_cast<commander*>(context);
    const u32 seen = self._generation.load(std::memory_order_acquire);
    log_warning("{}: has not answered for {} s", self._kind, command_patience / ns_per_s);
    for (const unique<lane>& each : self._lanes) {
        (void)self.look_at(*each);
    }
    if (self._device.needs_reset()) {
        self.reset(seen);
    }
}

result<void> commander::bring_up() {
    for (const unique<lane>& each : _lanes) {
        each->commands.restart();
    }
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
    for (const unique<lane>& each : _lanes) {
        each->commands.close();
    }
    // Only then does it leave the buffers alone; one that does not answer is cut off from memory.
    const bool quiet = _device.stop().ok();
    if (!quiet) {
        _device.switch_off();
    }
    for (const unique<lane>& each : _lanes) {
        each->commands.fail_in_flight();
    }
    if (quiet && bring_up().ok() && !_given_up) {
        for (const unique<lane>& each : _lanes) {
            each->commands.reopen();
        }
    } else {
        _given_up = true;
        _device.switch_off();
        log_error("{}: cannot be reset; it is not used any more", _kind);
    }
    _generation.fetch_add(1, std::memory_order_release);
}

}  // namespace kiln::virtio
