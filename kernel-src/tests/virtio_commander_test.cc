// Devices of virtio with several queues of commands, as disks have them: one that works, and ones that
// break their rings, interrupt without end, ask for a reset, or do not react to one.
#include "drivers/virtio/commander.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "core/clock.hh"
#include "drivers/dma.hh"

namespace kiln::virtio {
namespace {

enum class harm : u8 { none, strange_number, beyond_ring, twice };

// What the device is, beside the transport that the driver owns: it outlives that.
struct simulated_device {
    struct connected {
        interrupt_handler handler;
        void* context;
    };
    struct shown {
        const queue* ring;
        u16 next;
    };
    u64 features = feature::version_1;
    u8 status = 0;
    u32 messages = 8;
    bool reacts_to_resets = true;
    bool was_cut_off = false;
    bool is_silent = false;
    u32 resets = 0, served = 0;
    harm does = harm::none;
    u32 harms_left = 0;
    std::vector<connected> handlers;
    std::map<u16, shown> queues;

    std::mutex lock;  // around `queues` and what is served of them

    void interrupt(usize message) {
        if (!is_silent) {
            handlers[message].handler(handlers[message].context);
        }
    }

    void forget_queues() {
        const std::lock_guard guard(lock);
        queues.clear();
    }
    void take_queue(u16 index, const queue& ring) {
        const std::lock_guard guard(lock);
        queues[index] = {&ring, 0};
    }

    // Serves what is on a queue, and interrupts.
    void serve(u16 index) {
        if (serve_rings(index)) {
            interrupt(index);
        }
    }
    bool serve_rings(u16 index) {
        const std::lock_guard guard(lock);
        const auto found = queues.find(index);
        if (found == queues.end()) {
            return false;
        }
        shown& on = found->second;
        const auto* available = static_cast<const available_ring*>(on.ring->driver_area());
        const u32 before = served;
        while (on.next != __atomic_load_n(&available->index, __ATOMIC_ACQUIRE)) {
            answer(on, available->ring[on.next++ % on.ring->size()]);
            ++served;
        }
        return served != before;
    }
    void answer(shown& on, u32 id) {
        auto* used = static_cast<used_ring*>(const_cast<void*>(on.ring->device_area()));
        const u16 size = on.ring->size();
        const bool lies = does != harm::none && harms_left != 0;
        harms_left -= lies ? 1 : 0;
        if (lies && does != harm::twice) {
            id = does == harm::strange_number ? (id + 1) % size : 0xffff'ffff;
        }
        for (int times = lies && does == harm::twice ? 2 : 1; times != 0; --times) {
            used->ring[used->index % size] = {id, 1};
            __atomic_fetch_add(&used->index, u16{1}, __ATOMIC_RELEASE);
        }
    }
};

class simulated_transport final : public transport {
public:
    explicit simulated_transport(simulated_device& of) : _of(of) {}

    bool legacy() const override { return false; }
    u64 device_features() override { return _of.features; }
    void set_driver_features(u64) override {}
    u8 status() override { return _of.status; }
    void set_status(u8 status) override {
        if (status == 0) {
            ++_of.resets;
            if (!_of.reacts_to_resets) {
                return;
            }
            _of.forget_queues();
        }
        _of.status = status;
    }
    void read_config(u32, void* to, usize size) override { std::memset(to, 0, size); }
    u8 take_interrupt_status() override { return 1; }
    void set_config_message(u16) override {}
    bool fixed_queue_size() const override { return false; }
    u16 queue_size(u16) override { return 64; }
    result<doorbell> enable_queue(u16 index, const queue& made, u16) override {
        _of.take_queue(index, made);
        return doorbell::at_memory(&_bell, index);
    }
    bool has_messages() const override { return true; }
    result<void> connect(u32 index, interrupt_handler handler, void* context, u32) override {
        if (index >= _of.messages) {
            return err::nodev;
        }
        _of.handlers.push_back({handler, context});
        return {};
    }
    void silence() override { _of.is_silent = true; }
    void cut_off() override { _of.was_cut_off = true; }

private:
    simulated_device& _of;
    volatile u16 _bell = 0;
};

class virtio_commander : public ::testing::Test {
protected:
    ~virtio_commander() override { delete driver; }
    void start(u32 queues) {
        unique<transport> by = make_unique<simulated_transport>(device).take();
        driver = new commander("virtio-test", std::move(by));
        ASSERT_TRUE(driver->device().begin(0).ok());
        for (u16 i = 0; i < queues; ++i) {
            ASSERT_TRUE(driver->open(i, 64).ok());
        }
        driver->device().start();
    }
    // A request that a device on another thread serves.
    result<void> ask() {
        std::atomic<bool> over{false};
        std::thread server([&] {
            while (!over) {
                for (u16 i = 0; i < device.handlers.size(); ++i) {
                    device.serve(i);
                }
                std::this_thread::yield();
            }
        });
        auto outcome = driver->run(
            [this](u32 number, segment* segments) {
                EXPECT_LT(number, driver->most_requests());
                segments[0] = {dma_address(header), 16, false};
                segments[1] = {dma_address(header) + 16, 1, true};
                return usize{2};
            },
            [](u32) { return result<void>(); });
        over = true;
        server.join();
        return outcome;
    }

    simulated_device device;
    commander* driver = nullptr;
    alignas(64) std::byte header[64]{};
};

TEST_F(virtio_commander, requests_are_answered) {
    start(2);
    EXPECT_EQ(driver->queues(), 2u);
    EXPECT_EQ(driver->most_requests(), 2 * command_queue::most_requests);
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(ask().ok());
    }
    EXPECT_EQ(device.served, 100u);
    EXPECT_EQ(device.resets, 1u);
}

TEST_F(virtio_commander, without_a_message_for_it_there_is_no_other_queue) {
    device.messages = 1;
    start(1);
    EXPECT_FALSE(driver->open(1, 64).ok());
    EXPECT_EQ(driver->queues(), 1u);
    EXPECT_TRUE(ask().ok());
}

TEST_F(virtio_commander, one_lie_costs_a_reset) {
    start(1);
    for (const harm what : {harm::strange_number, harm::beyond_ring, harm::twice}) {
        const u32 before = device.resets;
        device.does = what;
        device.harms_left = 1;
        EXPECT_TRUE(ask().ok()) << static_cast<int>(what);
        EXPECT_TRUE(ask().ok()) << static_cast<int>(what);
        EXPECT_EQ(device.resets, before + 1) << static_cast<int>(what);
    }
    EXPECT_FALSE(device.was_cut_off);
}

TEST_F(virtio_commander, one_that_goes_on_lying_is_an_error) {
    start(1);
    device.does = harm::beyond_ring;
    device.harms_left = 1000;
    EXPECT_EQ(ask().error(), err::io);
    device.does = harm::none;
    EXPECT_TRUE(ask().ok()) << "it has come to its senses";
}

TEST_F(virtio_commander, one_that_does_not_react_to_a_reset_is_switched_off) {
    start(1);
    device.does = harm::beyond_ring;
    device.harms_left = 1;
    device.reacts_to_resets = false;
    EXPECT_EQ(ask().error(), err::io);
    EXPECT_TRUE(device.was_cut_off);
    EXPECT_TRUE(device.is_silent);
    const u32 served = device.served;
    EXPECT_EQ(ask().error(), err::io);
    EXPECT_EQ(device.served, served) << "it was still asked";
}

TEST_F(virtio_commander, interrupts_without_end_switch_it_off) {
    start(2);
    for (u32 i = 0; i + 1 < interrupt_watch::most_idle; ++i) {
        device.interrupt(0);
        device.interrupt(1);
    }
    EXPECT_FALSE(device.was_cut_off);
    EXPECT_TRUE(ask().ok()) << "which was something to do, on the first queue";
    device.interrupt(0);
    EXPECT_FALSE(device.was_cut_off);
    device.interrupt(1);
    EXPECT_TRUE(device.was_cut_off);
    EXPECT_TRUE(device.is_silent);
    EXPECT_EQ(ask().error(), err::io);
}

}  // namespace
}  // namespace kiln::virtio
