// Any range of bytes over a disk that only moves whole sectors, under the limits of each kind of
// device; and the numbers of requests in flight.
#include "drivers/block/sector_disk.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "drivers/block/request_slots.hh"

namespace kiln {
namespace {

constexpr usize disk_size = 768 * KiB;

// Holds what it was told and checks that every transfer keeps to the limits.
class simulated_disk final : public sector_disk {
public:
    explicit simulated_disk(const transfer_limits& limits) : _limits(limits), data(disk_size) {
        for (usize i = 0; i < disk_size; ++i) {
            data[i] = static_cast<std::byte>(i * 31 + i / 509);
        }
        geometry = set_geometry(disk_size / limits.sector_size, limits);
    }
    std::string_view name() const override { return "simulated"; }
    bool read_only() const override { return locked; }
    result<void> flush() override { return {}; }

    result<void> geometry;
    bool locked = false;
    bool broken = false;
    usize transfers = 0;

private:
    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override {
        ++transfers;
        EXPECT_LE(pieces.size(), _limits.most_pieces + 2);
        u64 at = sector * _limits.sector_size;
        usize total = 0;
        for (usize i = 0; i < pieces.size(); ++i) {
            const dma_piece& piece = pieces[i];
            EXPECT_NE(piece.length, 0u);
            EXPECT_TRUE(is_aligned(piece.address | piece.length, _limits.alignment));
            if (_limits.joins_at_pages_only && i != 0) {
                EXPECT_TRUE(is_aligned(piece.address, page_size));
                EXPECT_TRUE(is_aligned(pieces[i - 1].address + pieces[i - 1].length, page_size));
            }
            total += piece.length;
        }
        EXPECT_LE(total, _limits.longest);
        EXPECT_NE(total, 0u);
        EXPECT_TRUE(is_aligned(total, _limits.sector_size));
        if (broken || at + total > disk_size) {
            return err::io;
        }
        for (const dma_piece& piece : pieces) {
            auto* memory = reinterpret_cast<std::byte*>(piece.address);
            if (kind == transfer_kind::read) {
                std::memcpy(memory, &data[at], piece.length);
            } else {
                std::memcpy(&data[at], memory, piece.length);
            }
            at += piece.length;
        }
        return {};
    }

    transfer_limits _limits;

public:
    std::vector<std::byte> data;
};

const transfer_limits kinds[] = {
    {},                                                                              // virtio
    {.longest = 512, .most_pieces = 1},                                              // a poor one
    {.sector_size = 4096, .longest = 64 * KiB, .most_pieces = 8},                    // 4Kn
    {.longest = 128 * KiB, .most_pieces = 16, .alignment = 2},                       // AHCI
    {.longest = 256 * KiB, .alignment = 4, .joins_at_pages_only = true},             // NVMe
    {.sector_size = 4096, .longest = 256 * KiB, .alignment = 4, .joins_at_pages_only = true},
};

class sector_disks : public testing::TestWithParam<transfer_limits> {};

TEST_P(sector_disks, read_any_range_into_any_buffers) {
    simulated_disk disk(GetParam());
    ASSERT_TRUE(disk.geometry.ok());
    std::mt19937 random(7);
    std::vector<std::byte> memory(512 * KiB + page_size);
    auto* pages = reinterpret_cast<std::byte*>(
        align_up(reinterpret_cast<u64>(memory.data()), page_size));
    for (int round = 0; round < 200; ++round) {
        const bool whole_pages = round % 2 == 0;
        std::vector<std::span<std::byte>> buffers;
        usize place = 0, total = 0;
        for (usize count = random() % 80 + 1; count != 0; --count) {
            place = whole_pages ? align_up(place, page_size) : place + random() % 9;
            const usize size = whole_pages ? page_size : random() % 6000;
            if (place + size > 512 * KiB) {
                break;
            }
            buffers.emplace_back(pages + place, size);
            place += size;
            total += size;
        }
        u64 offset = random() % (disk_size - total);
        offset = round % 4 == 0 ? align_down(offset, 4096) : offset;
        std::memset(memory.data(), 0xee, memory.size());
        ASSERT_TRUE(disk.read_scattered(offset, buffers).ok());
        for (const auto& buffer : buffers) {
            ASSERT_EQ(std::memcmp(buffer.data(), &disk.data[offset], buffer.size()), 0);
            offset += buffer.size();
        }
    }
}

TEST_P(sector_disks, write_any_range_and_leave_the_rest) {
    simulated_disk disk(GetParam());
    std::vector<std::byte> expected(disk.data);
    std::mt19937 random(11);
    std::vector<std::byte> source(300 * KiB);
    for (int round = 0; round < 100; ++round) {
        const usize size = random() % (round % 10 == 0 ? 290 * KiB : 3000);
        const usize skew = random() % 16;
        const u64 offset = random() % (disk_size - size);
        for (usize i = 0; i < size; ++i) {
            source[skew + i] = static_cast<std::byte>(random());
        }
        ASSERT_TRUE(disk.write(offset, {&source[skew], size}).ok());
        std::memcpy(&expected[offset], &source[skew], size);
        ASSERT_EQ(std::memcmp(disk.data.data(), expected.data(), disk_size), 0);
    }
}

TEST_P(sector_disks, refuse_what_lies_beyond_the_end) {
    simulated_disk disk(GetParam());
    std::byte bytes[2]{};
    EXPECT_EQ(disk.read(disk_size - 1, bytes).error(), err::inval);
    EXPECT_EQ(disk.write(disk_size - 1, bytes).error(), err::inval);
    EXPECT_EQ(disk.read(~u64{0}, bytes).error(), err::inval);
    EXPECT_TRUE(disk.read(disk_size, std::span<std::byte>()).ok());
    EXPECT_TRUE(disk.read(disk_size - 2, bytes).ok());
}

TEST_P(sector_disks, pass_on_errors_and_write_nothing_when_locked) {
    simulated_disk disk(GetParam());
    std::byte bytes[5000]{};
    disk.broken = true;
    EXPECT_EQ(disk.read(3, bytes).error(), err::io);
    EXPECT_EQ(disk.write(3, bytes).error(), err::io);
    disk.broken = false;
    disk.locked = true;
    EXPECT_EQ(disk.write(0, bytes).error(), err::rofs);
}

INSTANTIATE_TEST_SUITE_P(each_kind, sector_disks, testing::ValuesIn(kinds));

TEST(sector_disk, scattered_pages_are_one_transfer) {
    simulated_disk disk(kinds[4]);
    std::vector<std::byte> memory(8 * page_size);
    auto* pages = reinterpret_cast<std::byte*>(
        align_up(reinterpret_cast<u64>(memory.data()), page_size));
    const std::span<std::byte> buffers[] = {
        {pages + 4 * page_size, page_size}, {pages, page_size}, {pages + 2 * page_size, page_size}};
    ASSERT_TRUE(disk.read_scattered(8192, buffers).ok());
    EXPECT_EQ(disk.transfers, 1u);
}

TEST(sector_disk, impossible_limits_are_refused) {
    EXPECT_EQ(simulated_disk({.sector_size = 100}).geometry.error(), err::inval);
    EXPECT_EQ(simulated_disk({.sector_size = 8192, .longest = 8192}).geometry.error(), err::inval);
    EXPECT_EQ(simulated_disk({.longest = 700}).geometry.error(), err::inval);
    EXPECT_EQ(simulated_disk({.most_pieces = 0}).geometry.error(), err::inval);
}

TEST(request_slots, numbers_that_are_not_in_flight_are_refused) {
    request_slots slots;
    slots.init(4);
    const u32 number = slots.take();
    EXPECT_FALSE(slots.finish(number + 1, request_slots::outcome::good));
    EXPECT_FALSE(slots.finish(4, request_slots::outcome::good));
    EXPECT_FALSE(slots.finish(~u32{0}, request_slots::outcome::good));
    EXPECT_TRUE(slots.finish(number, request_slots::outcome::good));
    EXPECT_FALSE(slots.finish(number, request_slots::outcome::failed));
    EXPECT_TRUE(slots.wait(number, never));
    EXPECT_EQ(slots.outcome_of(number), request_slots::outcome::good);
    slots.release(number);
    EXPECT_FALSE(slots.finish(number, request_slots::outcome::good));
}

TEST(request_slots, a_wait_ends_at_its_deadline_and_by_finish_all) {
    request_slots slots;
    slots.init(2);
    const u32 number = slots.take();
    EXPECT_FALSE(slots.wait(number, now() + ns_per_ms));
    slots.finish_all(request_slots::outcome::again);
    EXPECT_TRUE(slots.wait(number, never));
    EXPECT_EQ(slots.outcome_of(number), request_slots::outcome::again);
    slots.release(number);
}

TEST(request_slots, more_threads_than_numbers_all_get_through) {
    request_slots slots;
    slots.init(3);
    std::atomic<u32> in_flight{0}, done{0};
    std::atomic<bool> stop{false};
    // The device: finishes whatever is in flight.
    std::thread device([&] {
        while (!stop) {
            for (u32 number = 0; number < 3; ++number) {
                (void)slots.finish(number, request_slots::outcome::good);
            }
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 300; ++round) {
                const u32 number = slots.take();
                EXPECT_LE(++in_flight, 3u);
                EXPECT_TRUE(slots.wait(number, never));
                --in_flight;
                slots.release(number);
                ++done;
            }
        });
    }
    for (std::thread& each : threads) {
        each.join();
    }
    stop = true;
    device.join();
    EXPECT_EQ(done, 8u * 300u);
}

}  // namespace
}  // namespace kiln
