// A virtio device whose command queue's threads are served again after the device was reset: because it
// asked for that, or broke its ring. Disks and SCSI adapters.
//
// Lock: `_reset_lock`, before the queue's.
#pragma once

#include "core/mutex.hh"
#include "drivers/virtio/command_queue.hh"
#include "drivers/virtio/device.hh"

namespace kiln::virtio {

class commander : noncopyable {
public:
    commander(std::string_view kind, unique<transport> by) : _kind(kind), _device(std::move(by)) {}

    virtio::device& device() { return _device; }
    command_queue& commands() { return _commands; }
    // Adds queue `index` as the one of commands; after begin().
    result<void> open(u16 index, u16 entries);
    // Other queues that have to be emptied with it.
    result<void> also_restart(queue& other) { return _others.push_back(&other); }

    // Describes and runs one request: `describe(number, segments)` fills in what belongs to the number
    // and returns how many segments there are. err::io when the device is given up; else the request
    // was answered, and `judge(number)` says how.
    template <class Describe, class Judge>
    result<void> run(Describe describe, Judge judge);

    void give_up() { _device.fail(); }

private:
    static constexpr u32 most_attempts = 3;
    static constexpr usize most_segments = 64 + 2 + 2;

    static void on_interrupt(void* context);
    static void on_expiry(void* context);
    void distrust();
    void reset(u32 seen);
    result<void> bring_up();
    command_queue::patience patience();

    std::string_view _kind;
    virtio::device _device;
    command_queue _commands;
    vector<queue*> _others;
    mutex _reset_lock;
    std::atomic<u32> _generation{0};
    std::atomic<bool> _given_up{false};

public:
    using segment_list = segment[most_segments];
};

template <class Describe, class Judge>
result<void> commander::run(Describe describe, Judge judge) {
    for (u32 attempt = 0; attempt < most_attempts && !_given_up; ++attempt) {
        const u32 seen = _generation.load(std::memory_order_acquire);
        const u32 number = _commands.take();
        segment_list segments;
        const usize count = describe(number, segments);
        const auto how = _commands.run(number, {segments, count}, patience());
        const auto answered = how == command_queue::outcome::good ? judge(number) : result<void>();
        _commands.release(number);
        if (how == command_queue::outcome::good) {
            return answered;
        }
        reset(seen);
    }
    return err::io;
}

}  // namespace kiln::virtio
