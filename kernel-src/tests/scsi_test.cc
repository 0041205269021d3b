// SCSI disks and VMware's rings, each also against a device that means harm.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "drivers/dma.hh"
#include "drivers/pvscsi/rings.hh"
#include "lib/bytes.hh"
#include "tests/simulated_target.hh"

namespace kiln::scsi {
namespace {

// ---- commands and answers ----

TEST(scsi_command, the_short_form_ends_where_its_numbers_end) {
    const command_block few = transfer(false, 0x1234'5678, 0x9abc);
    EXPECT_EQ(few.size, 10);
    EXPECT_EQ(few.bytes[0], 0x28);
    EXPECT_EQ(load_be<u32>(&few.bytes[2]), 0x1234'5678u);
    EXPECT_EQ(load_be<u16>(&few.bytes[7]), 0x9abc);
    EXPECT_EQ(transfer(true, ~u32{0}, 1).bytes[0], 0x2a);
    EXPECT_EQ(transfer(true, ~u32{0}, 2).bytes[0], 0x8a);
    EXPECT_EQ(transfer(false, 0, 0x10000).bytes[0], 0x88);
    const command_block far = transfer(false, u64{1} << 40, 7);
    EXPECT_EQ(far.size, 16);
    EXPECT_EQ(load_be<u64>(&far.bytes[2]), u64{1} << 40);
    EXPECT_EQ(load_be<u32>(&far.bytes[10]), 7u);
}

TEST(scsi_command, both_formats_of_sense_are_read) {
    const u8 fixed[18] = {0xf0, 0, 0x26, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x01};
    EXPECT_EQ(read_sense(fixed).key, sense_key::unit_attention);
    EXPECT_EQ(read_sense(fixed).code, 0x29);
    const u8 described[8] = {0x72, 5, 0x24, 3};
    EXPECT_EQ(read_sense(described).key, sense_key::illegal_request);
    EXPECT_EQ(read_sense(described).qualifier, 3);
    for (usize size = 0; size < 14; ++size) {
        EXPECT_EQ(read_sense(std::span(fixed).first(size)).key, 0) << size;
    }
    const u8 nonsense[18] = {0x55, 1, 2, 3};
    EXPECT_EQ(read_sense(nonsense).key, 0);
}

TEST(scsi_command, an_impossible_capacity_is_refused) {
    u8 few[8] = {0, 0, 0, 9, 0, 0, 2, 0};
    EXPECT_EQ(read_short_capacity(few).value().sectors, 10u);
    EXPECT_EQ(read_short_capacity(few).value().sector_size, 512u);
    std::memset(few, 0xff, 4);
    EXPECT_EQ(read_short_capacity(few).error(), err::overflow);
    u8 many[12];
    std::memset(many, 0xff, sizeof(many));
    EXPECT_FALSE(read_long_capacity(many).ok());
}

// ---- a disk ----

constexpr answer attention{.reached = true, .status = 2, .why = {6, 0x29, 0}};
constexpr answer starting{.reached = true, .status = 2, .why = {2, 4, 1}};
constexpr answer medium_error{.reached = true, .status = 2, .why = {3, 0x11, 0}};

struct disk_rig {
    explicit disk_rig(u64 sectors = 1000) : target(sectors), tested(target, 0) {
        std::mt19937 random(1);
        for (u8& each : target.bytes) {
            each = static_cast<u8>(random());
        }
    }
    void start() {
        ASSERT_TRUE(tested.find().value());
        ASSERT_TRUE(tested.start('a').ok());
    }
    simulated_target target;
    disk tested;
};

TEST(scsi_disk, reads_and_writes_any_bytes) {
    disk_rig rig;
    rig.target.next = {attention, attention};
    rig.start();
    EXPECT_EQ(rig.tested.size_in_bytes(), 512'000u);
    std::mt19937 random(2);
    std::vector<u8> copy = rig.target.bytes;
    for (int i = 0; i < 300; ++i) {
        const usize size = 1 + random() % 100'000;
        const usize offset = random() % (copy.size() - size);
        std::vector<std::byte> buffer(size);
        if (i % 2 == 0) {
            ASSERT_TRUE(rig.tested.read(offset, buffer).ok());
            EXPECT_EQ(std::memcmp(buffer.data(), &copy[offset], size), 0);
        } else {
            std::memset(buffer.data(), i, size);
            ASSERT_TRUE(rig.tested.write(offset, buffer).ok());
            std::memset(&copy[offset], i, size);
        }
    }
    EXPECT_EQ(copy, rig.target.bytes);
}

TEST(scsi_disk, what_passes_is_asked_again) {
    disk_rig rig;
    rig.start();
    std::byte buffer[512];
    rig.target.next = {attention, starting, starting, attention};
    EXPECT_TRUE(rig.tested.read(0, buffer).ok());
    EXPECT_EQ(std::memcmp(buffer, rig.target.bytes.data(), sizeof(buffer)), 0);
    rig.target.next = {answer{.reached = true, .status = 8}, answer{.reached = true, .status = 0x28}};
    EXPECT_TRUE(rig.tested.read(0, buffer).ok());
}

TEST(scsi_disk, what_does_not_is_an_error) {
    disk_rig rig;
    rig.start();
    std::byte buffer[512];
    rig.target.next = {medium_error};
    EXPECT_EQ(rig.tested.read(0, buffer).error(), err::io);
    rig.target.next.assign(5, attention);
    EXPECT_EQ(rig.tested.read(0, buffer).error(), err::io);
    rig.target.next = {answer{}};
    EXPECT_EQ(rig.tested.read(0, buffer).error(), err::io);
    rig.target.residual = 1;
    EXPECT_EQ(rig.tested.read(0, buffer).error(), err::io) << "a byte was not moved";
    rig.target.residual = 0;
    EXPECT_TRUE(rig.tested.read(0, buffer).ok());
    rig.target.gone = true;
    EXPECT_EQ(rig.tested.read(0, buffer).error(), err::io);
}

TEST(scsi_disk, a_disk_without_a_cache_is_not_asked_to_empty_it_twice) {
    disk_rig rig;
    rig.start();
    EXPECT_TRUE(rig.tested.flush().ok());
    rig.target.knows_flush = false;
    EXPECT_TRUE(rig.tested.flush().ok());
    EXPECT_TRUE(rig.tested.flush().ok());
    EXPECT_EQ(rig.target.flushes, 2u);
}

TEST(scsi_disk, what_is_no_disk_is_left_alone) {
    for (const u8 type : {u8{5}, u8{0x7f}, u8{0x20}}) {
        disk_rig rig;
        rig.target.device_type = type;
        EXPECT_FALSE(rig.tested.find().value()) << int{type};
    }
    disk_rig rig;
    disk absent(rig.target, 3);
    EXPECT_FALSE(absent.find().value());
}

TEST(scsi_disk, an_impossible_sector_is_refused) {
    for (const u32 size : {0u, 1u, 256u, 513u, 8192u, 0x8000'0000u, ~0u}) {
        disk_rig rig;
        rig.target.claimed_sector_size = size;
        ASSERT_TRUE(rig.tested.find().value());
        EXPECT_FALSE(rig.tested.start('a').ok()) << size;
    }
}

TEST(scsi_disk, write_protection_is_seen) {
    disk_rig rig;
    rig.target.mode = 0x80;
    rig.start();
    std::byte buffer[512]{};
    EXPECT_EQ(rig.tested.write(0, buffer).error(), err::rofs);
}

// ---- VMware's rings ----

struct alignas(page_size) ring_page {
    std::byte bytes[page_size]{};
};

struct ring_rig {
    ring_rig() { driver.init(&state, &requests, &completions); }
    pvscsi::ring_state& shared() { return reinterpret_cast<pvscsi::ring_state&>(state); }
    void finish(u64 context) {
        auto* list = reinterpret_cast<pvscsi::completion*>(&completions);
        list[shared().completions_produced % pvscsi::rings::completions] = {.context = context};
        ++shared().completions_produced;
    }
    const pvscsi::request& request_at(u32 index) {
        return reinterpret_cast<pvscsi::request*>(&requests)[index % pvscsi::rings::requests];
    }
    ring_page state, requests, completions;
    pvscsi::rings driver;
};

TEST(pvscsi_rings, requests_and_completions_go_round) {
    ring_rig rig;
    pvscsi::completion done{};
    for (u32 i = 0; i < 1000; ++i) {
        pvscsi::request made{};
        made.context = i + 1;
        rig.driver.put(made);
        EXPECT_EQ(rig.shared().requests_produced, i + 1);
        EXPECT_EQ(rig.request_at(i).context, i + 1);
        EXPECT_FALSE(rig.driver.take(done));
        rig.finish(i + 1);
        ASSERT_TRUE(rig.driver.take(done));
        EXPECT_EQ(done.context, i + 1);
        EXPECT_EQ(rig.shared().completions_consumed, i + 1);
    }
    EXPECT_FALSE(rig.driver.broken());
}

TEST(pvscsi_rings, more_answers_than_questions_end_them) {
    for (const u32 claimed : {1u, 128u, 0x8000'0000u, ~0u}) {
        ring_rig rig;
        pvscsi::completion done{};
        rig.shared().completions_produced = claimed;
        EXPECT_FALSE(rig.driver.take(done));
        EXPECT_TRUE(rig.driver.broken());
        rig.driver.clear();
        EXPECT_FALSE(rig.driver.broken());
        rig.driver.put({});
        rig.finish(7);
        EXPECT_TRUE(rig.driver.take(done));
    }
}

}  // namespace
}  // namespace kiln::scsi
