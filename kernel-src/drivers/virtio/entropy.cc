// kernel only
// virtio-rng (VIRTIO 1.2, 5.4): one request at boot, whose answer is mixed in whenever it comes,
// and one more after each answer has been used for a while.
#include "core/entropy.hh"

#include "core/log.hh"
#include "core/page.hh"
#include "core/spinlock.hh"
#include "core/timer.hh"
#include "drivers/virtio/device.hh"
#include "drivers/virtio/drivers.hh"

namespace kiln::virtio {
namespace {

constexpr u32 seed_size = 64;
constexpr u16 queue_entries = 2;
constexpr u64 time_between_seeds = 300 * ns_per_s;

class entropy_source {
public:
    explicit entropy_source(unique<transport> by) : _device(std::move(by)), _again(&ask_again) {}

    result<void> start() {
            TRY(_device.begin(0));
        const u16 message = TRY(_device.connect(&on_interrupt, this, 0));
        _doorbell = TRY(_device.add_queue(0, _queue, queue_entries, message));
        page* memory = TRY(alloc_page());
        _seed = static_cast<std::byte*>(page_data(*memory));
        _device.start();
        _again.owner = this;
        ask();
        return {};
    }

    void give_up() { _device.fail(); }

private:
    struct reminder : timer {
        using timer::timer;
        entropy_source* owner = nullptr;
    };

    static void on_interrupt(void* context) { static_cast<entropy_source*>(context)->take(); }
    static void ask_again(timer& expired) { static_cast<reminder&>(expired).owner->ask(); }

    void ask() {
        irq_guard guard(_lock);
        const segment into{dma_address(_seed), seed_size, true};
        if (_queue.add({&into, 1}, _seed).ok() && _queue.publish()) {
            _doorbell.ring();
        }
    }

    void take() {
        irq_guard guard(_lock);
        queue::completion done;
        if (_queue.take(done)) {
            const usize size = done.length < seed_size ? done.length : seed_size;
            add_entropy({_seed, size});
            start_timer(_again, now() + time_between_seeds);
        }
    }

    device _device;
    queue _queue;
    doorbell _doorbell;
    irq_spinlock _lock;
    std::byte* _seed = nullptr;
    reminder _again;
};

}  // namespace

result<void> start_entropy(unique<transport> by) {
    // Never freed: from here on its interrupt handler may run.
    entropy_source* made = TRY(make_unique<entropy_source>(std::move(by))).leak();
    auto outcome = made->start();
    if (!outcome.ok()) {
        made->give_up();
    }
    return outcome;
}

}  // namespace kiln::virtio
