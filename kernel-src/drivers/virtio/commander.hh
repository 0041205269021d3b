// A virtio device whose command queues' threads are served again after the device was reset: because it
// asked for that, or broke a ring. Disks and SCSI adapters. Each CPU uses a queue of its own, as far as
// there are queues.
//
// Lock: `_reset_lock`, before the queues'.
#pragma once

#include "core/mutex.hh"
#include "core/thread.hh"
#include "drivers/interrupt_watch.hh"
#include "drivers/virtio/command_queue.hh"
#include "drivers/virtio/device.hh"
#include "lib/ref.hh"

namespace kiln::virtio {

class commander : noncopyable {
public:
    commander(std::string_view kind, unique<transport> by) : _kind(kind), _device(std::move(by)) {}

    virtio::device& device() { return _device; }
    // Adds queue `index` as one of commands, the next CPU's; after begin().
    result<void> open(u16 index, u16 entries);
    u32 queues() const { return static_cast<u32>(_lanes.size()); }
    u16 queue_size() { return _lanes[0]->commands.ring().size(); }
    // Requests have numbers below this.
    u32 most_requests() const { return queues() * command_queue::most_requests; }
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

    struct lane {
        commander* of;
        command_queue commands;
        interrupt_watch watch;
    };

    static void on_interrupt(void* context);
    static void on_expiry(void* context);
    bool look_at(lane& of);
    void distrust();
    void switch_off();
    void reset(u32 seen);
    result<void> bring_up();
    command_queue::patience patience();

    std::string_view _kind;
    virtio::device _device;
    vector<unique<lane>> _lanes;
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
        // A thread that moves to another CPU meanwhile takes its answer there.
        const u32 mine = this_cpu() % queues();
        command_queue& commands = _lanes[mine]->commands;
        const u32 number = commands.take();
        const u32 among_all = mine * command_queue::most_requests + number;
        segment_list segments;
        const usize count = describe(among_all, segments);
        const auto how = commands.run(number, {segments, count}, patience());
        const auto answered =
            how == command_queue::outcome::good ? judge(among_all) : result<void>();
        commands.release(number);
        if (how == command_queue::outcome::good) {
            return answered;
        }
        reset(seen);
    }
    return err::io;
}

}  // namespace kiln::virtio
