// Requests of threads on a virtqueue, against a device that answers, is silent, or means harm.
#include "drivers/virtio/command_queue.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/clock.hh"

namespace kiln::virtio {
namespace {

using outcome = command_queue::outcome;

struct rig {
    static constexpr u16 size = 16;

    rig() {
        std::memset(memory, 0, sizeof(memory));
        commands.ring().init(size, memory, queue::form::split, false);
        commands.open(doorbell::at_memory(&bell, 7));
        available = static_cast<const available_ring*>(commands.ring().driver_area());
        used = static_cast<used_ring*>(const_cast<void*>(commands.ring().device_area()));
    }
    void finish(u32 id) {
        used->ring[used->index % size] = {id, 0};
        ++used->index;
    }

    alignas(page_size) std::byte memory[page_size];
    volatile u16 bell = 0xffff;
    command_queue commands;
    const available_ring* available;
    used_ring* used;
};

// Runs a request while `serve` plays the device whenever the waiter has waited a little.
template <class Serve>
outcome run_with(rig& on, Serve serve) {
    const command_queue::patience waiting{
        ns_per_ms, [](void* context) { (*static_cast<Serve*>(context))(); }, &serve};
    const segment parts[] = {{0x1000, 16, false}, {0x2000, 1, true}};
    const u32 number = on.commands.take();
    const outcome how = on.commands.run(number, parts, waiting);
    on.commands.release(number);
    return how;
}

TEST(virtio_command_queue, a_lost_interrupt_is_found_by_looking) {
    rig on;
    for (u16 i = 0; i < 50; ++i) {
        EXPECT_EQ(run_with(on,
                           [&] {
                               EXPECT_EQ(on.bell, 7);
                               on.finish(on.available->ring[i % rig::size]);
                               EXPECT_TRUE(on.commands.take_finished());
                           }),
                  outcome::good);
    }
}

TEST(virtio_command_queue, numbers_that_are_not_in_flight_are_noticed) {
    for (const u32 id : {1u, 2u, 15u, 16u, 0xffffu, 0xffff'ffffu}) {
        rig on;
        const outcome how = run_with(on, [&] {
            on.finish(id);
            EXPECT_FALSE(on.commands.take_finished()) << id;
            on.commands.close();
            on.commands.fail_in_flight();
        });
        EXPECT_EQ(how, outcome::again);
    }
}

TEST(virtio_command_queue, after_a_reset_requests_are_given_again) {
    rig on;
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(run_with(on,
                           [&] {
                               on.commands.close();
                               on.commands.fail_in_flight();
                           }),
                  outcome::again);
        EXPECT_EQ(run_with(on, [] { FAIL() << "it was given to a device that is closed"; }),
                  outcome::again);
        // What the device says late is of no account.
        on.finish(0);
        EXPECT_TRUE(on.commands.take_finished());
        on.commands.restart();
        on.commands.reopen();
        EXPECT_EQ(run_with(on,
                           [&] {
                               on.finish(on.available->ring[0]);
                               EXPECT_TRUE(on.commands.take_finished());
                           }),
                  outcome::good);
        on.commands.close();
        on.commands.restart();
        on.commands.reopen();
    }
}

TEST(virtio_command_queue, a_device_that_writes_anything_corrupts_nothing) {
    for (u32 seed = 0; seed < 50; ++seed) {
        rig on;
        std::mt19937 random(seed);
        (void)run_with(on, [&] {
            auto* bytes = reinterpret_cast<u8*>(on.used);
            for (u32 i = 0; i < 40; ++i) {
                bytes[random() % (sizeof(used_ring) + rig::size * sizeof(used_element))] =
                    static_cast<u8>(random());
                if (!on.commands.take_finished()) {
                    break;
                }
            }
            on.commands.close();
            on.commands.fail_in_flight();
        });
    }
}

}  // namespace
}  // namespace kiln::virtio
