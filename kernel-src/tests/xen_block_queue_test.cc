// One ring of a virtual disk of Xen, against a backend that does as it should, is silent, or means harm.
#include "drivers/xen/block_queue.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "core/clock.hh"
#include "drivers/dma.hh"
#include "tests/xen_block_backend.hh"

namespace kiln::xen {
namespace {

using outcome = block_queue::outcome;

std::atomic<u32> bells;
std::atomic<u32> last_port;

struct queue_rig {
    explicit queue_rig(u32 segments = 64) {
        EXPECT_TRUE(queue.open(grants.table, backend_domain).ok());
        backend.emplace(grants, queue.ring_page(), disk);
        bells = 0;
        const doorbell bell{[](u32 port) {
                                ++bells;
                                last_port = port;
                            },
                            17};
        EXPECT_TRUE(queue.connect(grants.table, backend_domain, segments, bell, 51712).ok());
        for (usize i = 0; i < disk.size(); ++i) {
            disk[i] = static_cast<std::byte>(i * 31 + i / 512);
        }
    }

    grant_rig grants;
    std::vector<std::byte> disk = std::vector<std::byte>(1 * MiB);
    block_queue queue;
    std::optional<block_backend> backend;
};

// Runs a request while `serve` plays the backend whenever the waiter has waited a little.
template <class Serve>
outcome run_with(queue_rig& on, block_operation what, u64 sector,
                 std::span<const dma_piece> pieces, Serve serve) {
    const block_queue::patience waiting{
        ns_per_ms, [](void* context) { (*static_cast<Serve*>(context))(); }, &serve};
    return on.queue.run(what, sector, pieces, waiting);
}

outcome run_well(queue_rig& on, block_operation what, u64 sector,
                 std::span<const dma_piece> pieces) {
    return run_with(on, what, sector, pieces, [&] {
        on.backend->serve();
        EXPECT_TRUE(on.queue.take_finished());
    });
}

dma_piece piece_of(std::span<std::byte> bytes) {
    return {dma_address(bytes.data()), static_cast<u32>(bytes.size())};
}

TEST(xen_block_queue, data_arrives_whatever_the_pieces_are) {
    std::mt19937 random(2);
    for (const u32 segments : {11u, 64u}) {
        queue_rig on(segments);
        on.backend->offers_indirect = segments > 11;
        for (int round = 0; round < 60; ++round) {
            const usize longest = segments * page_size;
            const usize size = (random() % (longest / 512) + 1) * 512;
            const u64 sector = random() % ((on.disk.size() - size) / 512 + 1);
            std::vector<std::byte> memory(size + 3);
            std::vector<dma_piece> pieces;
            for (usize at = 0; at < size;) {
                const usize step = std::min<usize>(random() % 9000 + 1, size - at);
                pieces.push_back(piece_of(std::span(memory).subspan(at + 3, step)));
                at += step;
            }
            const bool writes = round % 2 != 0;
            for (std::byte& each : memory) {
                each = static_cast<std::byte>(random());
            }
            const auto what = writes ? block_operation::write : block_operation::read;
            ASSERT_EQ(run_well(on, what, sector, pieces), outcome::good);
            EXPECT_EQ(std::memcmp(&memory[3], &on.disk[sector * 512], size), 0) << writes;
        }
        EXPECT_GT(on.backend->longest, segments * 3 / 4);
    }
}

TEST(xen_block_queue, the_backend_reaches_nothing_but_the_queues_own_pages) {
    queue_rig on;
    std::vector<std::byte> memory(8192);
    const dma_piece piece = piece_of(memory);
    ASSERT_EQ(run_well(on, block_operation::read, 0, {&piece, 1}), outcome::good);
    for (grant_reference i = 0; i < on.grants.frames() * grant_table::entries_of_a_frame; ++i) {
        const std::byte* reached = on.grants.reach(i, false);
        EXPECT_TRUE(reached == nullptr || reached + page_size <= memory.data() ||
                    reached >= memory.data() + memory.size());
    }
}

TEST(xen_block_queue, the_backend_is_told_by_its_port) {
    queue_rig on;
    std::byte sector[512];
    const dma_piece piece = piece_of(sector);
    ASSERT_EQ(run_well(on, block_operation::read, 1, {&piece, 1}), outcome::good);
    EXPECT_EQ(bells, 1u);
    EXPECT_EQ(last_port, 17u);
}

TEST(xen_block_queue, a_flush_moves_nothing) {
    queue_rig on;
    EXPECT_EQ(run_well(on, block_operation::flush, 0, {}), outcome::good);
    EXPECT_EQ(on.backend->operations.back(), block_operation::flush);
    on.backend->fails = block_status::not_supported;
    EXPECT_EQ(run_well(on, block_operation::flush, 0, {}), outcome::not_supported);
}

TEST(xen_block_queue, an_error_is_told_and_the_next_request_is_served) {
    queue_rig on;
    std::byte sector[512]{};
    const dma_piece piece = piece_of(sector);
    for (const i16 status : {block_status::error, i16{5}, i16{-77}}) {
        on.backend->fails = status;
        EXPECT_EQ(run_well(on, block_operation::read, 0, {&piece, 1}), outcome::failed);
        EXPECT_EQ(sector[0], std::byte{0}) << "what was not read is not handed out";
    }
    on.backend->fails = 0;
    EXPECT_EQ(run_well(on, block_operation::read, 0, {&piece, 1}), outcome::good);
}

// ---- in the hands of one that means harm ----

// What a single answer of the backend, other than the right one, leads to.
void expect_distrust(void (*answer)(queue_rig& on, block_response right)) {
    queue_rig on;
    std::byte sector[512];
    const dma_piece piece = piece_of(sector);
    // So that there is an earlier use.
    ASSERT_EQ(run_well(on, block_operation::read, 0, {&piece, 1}), outcome::good);
    const outcome how = run_with(on, block_operation::read, 0, {&piece, 1}, [&] {
        answer(on, on.backend->carry_out());
        EXPECT_FALSE(on.queue.take_finished());
        on.queue.close();
    });
    EXPECT_EQ(how, outcome::closed);
    EXPECT_EQ(run_with(on, block_operation::read, 0, {&piece, 1},
                       [] { FAIL() << "it was given to a backend that is not trusted"; }),
              outcome::closed);
    EXPECT_TRUE(on.queue.take_finished()) << "what comes late is of no account";
}

TEST(xen_block_queue, an_identifier_that_is_not_in_flight_is_noticed) {
    expect_distrust([](queue_rig& on, block_response right) {
        right.id += 1;
        (void)on.backend->answer(right);
    });
    expect_distrust([](queue_rig& on, block_response right) {
        right.id = (right.id & ~u64{0xffff'ffff}) | 0xffff'ffff;
        (void)on.backend->answer(right);
    });
    expect_distrust([](queue_rig& on, block_response right) {
        right.id = 0;
        (void)on.backend->answer(right);
    });
}

TEST(xen_block_queue, the_answer_to_an_earlier_request_is_noticed) {
    expect_distrust([](queue_rig& on, block_response right) {
        right.id -= u64{1} << 32;
        (void)on.backend->answer(right);
    });
}

TEST(xen_block_queue, an_index_beyond_the_requests_is_noticed) {
    expect_distrust([](queue_rig& on, block_response) { on.backend->ring().word(2) += 2; });
    expect_distrust([](queue_rig& on, block_response) { on.backend->ring().word(2) -= 1; });
    expect_distrust(
        [](queue_rig& on, block_response) { on.backend->ring().word(2) = 0x8000'0000; });
}

TEST(xen_block_queue, an_answer_that_comes_twice_is_noticed) {
    queue_rig on;
    std::byte sector[512];
    const dma_piece piece = piece_of(sector);
    const outcome how = run_with(on, block_operation::read, 0, {&piece, 1}, [&] {
        const block_response right = on.backend->carry_out();
        (void)on.backend->answer(right);
        (void)on.backend->answer(right);
        EXPECT_FALSE(on.queue.take_finished());
        on.queue.close();
    });
    EXPECT_NE(how, outcome::failed);
}

TEST(xen_block_queue, events_without_end_are_noticed) {
    queue_rig on;
    for (u32 i = 0; i + 1 < block_queue::most_idle_events; ++i) {
        ASSERT_TRUE(on.queue.take_finished());
    }
    EXPECT_FALSE(on.queue.take_finished());
}

TEST(xen_block_queue, what_a_backend_writes_late_is_nobodys_memory) {
    queue_rig on;
    std::vector<std::byte> memory(64 * KiB);
    const dma_piece piece = piece_of(memory);
    const outcome how = run_with(on, block_operation::read, 0, {&piece, 1},
                                 [&] { on.queue.close(); });
    EXPECT_EQ(how, outcome::closed);
    (void)on.backend->carry_out();
    EXPECT_EQ(std::count(memory.begin(), memory.end(), std::byte{0}),
              static_cast<isize>(memory.size()));
}

TEST(xen_block_queue, a_backend_that_writes_anything_corrupts_nothing) {
    for (u32 seed = 0; seed < 40; ++seed) {
        queue_rig on;
        std::mt19937 random(seed);
        std::vector<std::byte> memory(100 * 512);
        const dma_piece piece = piece_of(memory);
        std::byte* ring = on.grants.reach(on.queue.ring_page(), true);
        (void)run_with(on, block_operation::read, 0, {&piece, 1}, [&] {
            for (int i = 0; i < 60; ++i) {
                // Near to what is right, or anything.
                auto* words = reinterpret_cast<u32*>(ring);
                words[random() % (random() % 2 == 0 ? 32 : page_size / 4)] =
                    random() % 2 == 0 ? static_cast<u32>(random() % 40) : random();
                if (!on.queue.take_finished()) {
                    break;
                }
            }
            on.queue.close();
        });
    }
}

// ---- many at once ----

TEST(xen_block_queue, threads_have_requests_in_flight_and_answers_come_in_any_order) {
    queue_rig on;
    std::atomic<bool> done{false};
    std::atomic<u32> most_at_once{0};
    std::thread backend([&] {
        std::mt19937 random(9);
        std::vector<block_response> finished;
        while (!done) {
            while (on.backend->has_request() && finished.size() < 8) {
                finished.push_back(on.backend->carry_out());
            }
            most_at_once = std::max<u32>(most_at_once, static_cast<u32>(finished.size()));
            std::shuffle(finished.begin(), finished.end(), random);
            for (usize count = random() % 3; count != 0 && !finished.empty(); --count) {
                (void)on.backend->answer(finished.back());
                finished.pop_back();
            }
            EXPECT_TRUE(on.queue.take_finished());
            if (finished.empty()) {
                std::this_thread::sleep_for(std::chrono::microseconds(50));
            }
        }
    });
    std::vector<std::thread> users;
    for (u32 user = 0; user < 6; ++user) {
        users.emplace_back([&, user] {
            std::mt19937 random(user);
            const u64 base = u64{user} * 300;  // sectors of its own
            for (int round = 0; round < 30; ++round) {
                const usize sectors = random() % 200 + 1;
                const u64 at = base + random() % (300 - sectors);
                std::vector<std::byte> out(sectors * 512, static_cast<std::byte>(random()));
                std::vector<std::byte> in(out.size());
                const dma_piece write = piece_of(out), read = piece_of(in);
                const block_queue::patience waiting{ns_per_s, [](void*) {}, nullptr};
                EXPECT_EQ(on.queue.run(block_operation::write, at, {&write, 1}, waiting),
                          outcome::good);
                EXPECT_EQ(on.queue.run(block_operation::read, at, {&read, 1}, waiting),
                          outcome::good);
                ASSERT_EQ(in, out);
            }
        });
    }
    for (std::thread& each : users) {
        each.join();
    }
    done = true;
    backend.join();
    EXPECT_GT(most_at_once, 1u);
}

}  // namespace
}  // namespace kiln::xen
