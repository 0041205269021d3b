// What the drivers of NVMe and AHCI disks compute: rings, page lists, and what devices say of
// themselves; each also against a device that means harm.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "drivers/ata/identity.hh"
#include "drivers/nvme/identity.hh"
#include "drivers/nvme/io_queue.hh"
#include "drivers/nvme/prp.hh"
#include "lib/bytes.hh"

namespace kiln {
namespace {

// ---- NVMe's rings ----

// The controller's side of a queue pair.
class simulated_controller {
public:
    simulated_controller(u32 entries, const void* submission, void* completion)
        : _entries(entries),
          _submission(static_cast<const nvme::command*>(submission)),
          _completion(static_cast<nvme::completion*>(completion)) {}

    nvme::command fetch() {
        const nvme::command taken = _submission[_head];
        _head = (_head + 1) % _entries;
        return taken;
    }
    void finish(u16 id, u16 status = 0, u32 result = 0) {
        _completion[_tail] = {result, 0, static_cast<u16>(_head), 1, id,
                              static_cast<u16>(status << 1 | _phase)};
        if (++_tail == _entries) {
            _tail = 0;
            _phase ^= 1;
        }
    }

private:
    u32 _entries;
    const nvme::command* _submission;
    nvme::completion* _completion;
    u32 _head = 0, _tail = 0;
    u16 _phase = 1;
};

struct alignas(page_size) ring_page {
    std::byte bytes[page_size]{};
};

TEST(nvme_queue, commands_and_completions_go_round) {
    for (const u32 entries : {2u, 3u, 17u, 64u}) {
        ring_page submission, completion;
        nvme::queue_pair pair;
        pair.init(entries, &submission, &completion);
        simulated_controller device(entries, &submission, &completion);
        nvme::completion found{};
        EXPECT_FALSE(pair.take(found));
        u32 tail = 0;
        for (u16 round = 0; round < 500; ++round) {
            const u32 batch = round % pair.most_in_flight() + 1;
            for (u32 i = 0; i < batch; ++i) {
                nvme::command made{};
                made.id = static_cast<u16>(round * 64 + i);
                tail = (tail + 1) % entries;
                EXPECT_EQ(pair.put(made), tail);
            }
            for (u32 i = 0; i < batch; ++i) {
                device.finish(device.fetch().id, 0, round);
            }
            for (u32 i = 0; i < batch; ++i) {
                ASSERT_TRUE(pair.take(found));
                EXPECT_EQ(found.id, static_cast<u16>(round * 64 + i));
                EXPECT_EQ(found.result, round);
                EXPECT_TRUE(found.good());
            }
            EXPECT_FALSE(pair.take(found));
            EXPECT_EQ(pair.head(), tail);
        }
    }
}

TEST(nvme_queue, a_failed_command_has_its_code) {
    ring_page submission, completion;
    nvme::queue_pair pair;
    pair.init(8, &submission, &completion);
    simulated_controller device(8, &submission, &completion);
    (void)pair.put({});
    (void)device.fetch();
    device.finish(0, 0x281);
    nvme::completion found{};
    ASSERT_TRUE(pair.take(found));
    EXPECT_FALSE(found.good());
    EXPECT_EQ(found.code(), 0x281u);
}

// ---- a whole I/O queue ----

struct queue_rig {
    queue_rig() {
        EXPECT_TRUE(queue.allocate(64).ok());
        queue.clear();
        queue.open(reinterpret_cast<volatile u8*>(&submission_doorbell),
                   reinterpret_cast<volatile u8*>(&completion_doorbell));
    }
    simulated_controller device() {
        return {64, reinterpret_cast<const void*>(queue.submission_address()),
                reinterpret_cast<void*>(queue.completion_address())};
    }

    nvme::io_queue queue;
    volatile u32 submission_doorbell = 0, completion_doorbell = 0;
};

// Runs a command while `serve` plays the device whenever the waiter has waited a little.
template <class Serve>
nvme::io_queue::outcome run_with(queue_rig& rig, Serve serve) {
    const nvme::io_queue::patience waiting{
        ns_per_ms, [](void* context) { (*static_cast<Serve*>(context))(); }, &serve};
    return rig.queue.run({}, {}, waiting);
}

TEST(nvme_io_queue, a_lost_interrupt_is_found_by_looking) {
    queue_rig rig;
    auto device = rig.device();
    const auto how = run_with(rig, [&] {
        EXPECT_EQ(rig.submission_doorbell, 1u);
        device.finish(device.fetch().id);
        EXPECT_TRUE(rig.queue.take_finished());
    });
    EXPECT_EQ(how, nvme::io_queue::outcome::good);
    EXPECT_EQ(rig.completion_doorbell, 1u);
}

TEST(nvme_io_queue, numbers_that_are_not_in_flight_are_noticed) {
    for (const u16 number : {u16{1}, u16{31}, u16{32}, u16{63}, u16{0x8000}, u16{0xffff}}) {
        queue_rig rig;
        auto device = rig.device();
        const auto how = run_with(rig, [&] {
            device.finish(number);
            EXPECT_FALSE(rig.queue.take_finished());
            rig.queue.close();
            rig.queue.fail_in_flight(nvme::io_queue::outcome::again);
        });
        EXPECT_EQ(how, nvme::io_queue::outcome::again);
    }
}

TEST(nvme_io_queue, a_completion_that_comes_twice_is_noticed) {
    queue_rig rig;
    auto device = rig.device();
    const auto how = run_with(rig, [&] {
        const u16 id = device.fetch().id;
        device.finish(id);
        device.finish(id);
        EXPECT_FALSE(rig.queue.take_finished());
    });
    EXPECT_EQ(how, nvme::io_queue::outcome::good);
}

TEST(nvme_io_queue, a_closed_queue_takes_nothing) {
    queue_rig rig;
    rig.queue.close();
    EXPECT_EQ(run_with(rig, [] {}), nvme::io_queue::outcome::again);
    EXPECT_EQ(rig.submission_doorbell, 0u);
}

// ---- NVMe's page lists ----

std::vector<u64> pages_described(std::span<const dma_piece> pieces, u64 (&entries)[2],
                                 const u64* list) {
    usize bytes = 0;
    for (const dma_piece& piece : pieces) {
        bytes += piece.length;
    }
    const usize count =
        (align_up(entries[0] % page_size + bytes, page_size) >> page_shift);
    std::vector<u64> found{entries[0]};
    if (count == 2) {
        found.push_back(entries[1]);
    }
    if (count > 2) {
        EXPECT_EQ(entries[1], reinterpret_cast<u64>(list));
        found.insert(found.end(), list, list + count - 1);
    }
    return found;
}

TEST(nvme_prp, every_byte_is_named_once_and_in_order) {
    std::mt19937 random(3);
    for (int round = 0; round < 2000; ++round) {
        u64 list[nvme::list_entries]{}, entries[2]{};
        std::vector<dma_piece> pieces;
        const u64 skew = random() % (page_size / 4) * 4;
        usize room = nvme::list_entries;  // pages; the first one may be begun in its middle
        const usize count = random() % 4 + 1;
        std::vector<u64> expected;
        for (usize i = 0; i < count && room != 0; ++i) {
            const usize pages = random() % std::min<usize>(room, 20) + 1;
            u64 address = (u64{random() % 100'000} + 1) << page_shift;
            u32 length = static_cast<u32>(pages << page_shift);
            if (i == 0) {
                address += skew;
                length -= static_cast<u32>(skew);
            }
            if (i + 1 == count) {
                length -= static_cast<u32>(random() % 7 * 512 % length);
            }
            for (u64 at = address; at < address + length;
                 at = align_down(at, page_size) + page_size) {
                expected.push_back(at);
            }
            pieces.push_back({address, length});
            room -= pages;
        }
        nvme::describe(pieces, list, reinterpret_cast<u64>(list), entries);
        ASSERT_EQ(pages_described(pieces, entries, list), expected);
    }
}

TEST(nvme_prp, the_longest_transfer_fits_wherever_it_begins) {
    u64 list[nvme::list_entries]{}, entries[2]{};
    const dma_piece whole{0x10'0ffc, static_cast<u32>(nvme::longest_transfer)};
    nvme::describe({&whole, 1}, list, reinterpret_cast<u64>(list), entries);
    EXPECT_EQ(entries[0], 0x10'0ffcu);
    EXPECT_EQ(list[0], 0x10'1000u);
    EXPECT_EQ(list[nvme::list_entries - 1], 0x10'1000u + (nvme::list_entries - 1) * page_size);
}

// ---- identities ----

TEST(nvme_identity, a_name_space) {
    ring_page page;
    store<u64>(&page.bytes[0], 12345);
    page.bytes[26] = std::byte{1};
    store<u32>(&page.bytes[128 + 4], 12u << 16);
    auto found = nvme::read_name_space(nvme::identify_page(page.bytes));
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found.value().sectors, 12345u);
    EXPECT_EQ(found.value().sector_size, 4096u);
    EXPECT_FALSE(found.value().read_only);
    page.bytes[99] = std::byte{1};
    EXPECT_TRUE(nvme::read_name_space(nvme::identify_page(page.bytes)).value().read_only);
}

TEST(nvme_identity, formats_that_cannot_be_used_are_refused) {
    for (const u32 format : {8u << 16, 13u << 16, 0u, 0xffu << 16, 9u << 16 | 8}) {
        ring_page page;
        store<u64>(&page.bytes[0], 1);
        store<u32>(&page.bytes[128], format);
        EXPECT_EQ(nvme::read_name_space(nvme::identify_page(page.bytes)).error(), err::opnotsupp);
    }
    EXPECT_EQ(nvme::read_name_space(nvme::identify_page(ring_page().bytes)).value().sectors, 0u);
}

TEST(nvme_identity, a_controller) {
    ring_page page;
    page.bytes[77] = std::byte{5};
    page.bytes[512] = std::byte{0x66};
    page.bytes[513] = std::byte{0x44};
    store<u32>(&page.bytes[516], 3);
    page.bytes[525] = std::byte{1};
    auto found = nvme::read_controller(nvme::identify_page(page.bytes));
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found.value().longest_transfer, 128 * KiB);
    EXPECT_EQ(found.value().name_spaces, 3u);
    EXPECT_TRUE(found.value().has_write_cache);
    page.bytes[77] = std::byte{0};
    EXPECT_EQ(nvme::read_controller(nvme::identify_page(page.bytes)).value().longest_transfer,
              ~usize{0});
    page.bytes[512] = std::byte{0x77};
    EXPECT_EQ(nvme::read_controller(nvme::identify_page(page.bytes)).error(), err::opnotsupp);
}

struct ata_words {
    u16 words[256]{};
    ata_words() {
        words[82] = 1u << 5;
        words[83] = 1u << 14 | 1u << 10;
        words[100] = 0x5678;
        words[101] = 0x1234;
    }
    result<ata::disk_identity> read() const {
        return ata::read_identity(std::span<const u16, 256>(words));
    }
};

TEST(ata_identity, a_disk_of_512_byte_sectors) {
    const ata_words disk;
    auto found = disk.read();
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found.value().sectors, 0x12345678u);
    EXPECT_EQ(found.value().sector_size, 512u);
    EXPECT_TRUE(found.value().has_write_cache);
}

TEST(ata_identity, a_disk_of_4096_byte_sectors) {
    ata_words disk;
    disk.words[106] = 1u << 14 | 1u << 12;
    disk.words[117] = 2048;
    EXPECT_EQ(disk.read().value().sector_size, 4096u);
    disk.words[118] = 1;
    EXPECT_EQ(disk.read().error(), err::opnotsupp);
}

TEST(ata_identity, a_disk_with_short_addresses) {
    ata_words disk;
    disk.words[83] = 1u << 14;
    disk.words[49] = 1u << 9;
    disk.words[60] = 0xffff;
    disk.words[61] = 0x0fff;
    auto found = disk.read();
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found.value().sectors, 0x0fff'ffffu);
    EXPECT_FALSE(found.value().has_long_addresses);
    disk.words[61] = 0x1001;
    EXPECT_EQ(disk.read().error(), err::opnotsupp);
}

TEST(ata_identity, what_cannot_be_used_is_refused) {
    ata_words no_sectors;
    no_sectors.words[83] = 1u << 14;
    EXPECT_EQ(no_sectors.read().error(), err::opnotsupp);
    ata_words empty;
    empty.words[100] = empty.words[101] = 0;
    EXPECT_EQ(empty.read().error(), err::opnotsupp);
    ata_words endless;
    endless.words[103] = 1;
    EXPECT_EQ(endless.read().error(), err::opnotsupp);
    ata_words silent;
    std::memset(silent.words, 0xff, sizeof(silent.words));
    EXPECT_EQ(silent.read().error(), err::opnotsupp);
}

}  // namespace
}  // namespace kiln
