// The rings of the vmxnet3 driver against a card simulated in the test, good and bad.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/page.hh"
#include "drivers/vmxnet3/receive_rings.hh"
#include "drivers/vmxnet3/transmit_rings.hh"

namespace kiln::vmxnet3 {
namespace {

using net::chunk;
using net::packet_buffer;
using net::packet_ptr;

// Zeroed memory of a ring, and the bytes that the device finds at an address.
class device_memory {
public:
    device_memory() : _pages(alloc_pages(3).value()) {
        std::memset(page_data(*_pages), 0, page_size << 3);
    }
    ~device_memory() { drop_page_reference(*_pages); }
    std::byte* bytes() { return static_cast<std::byte*>(page_data(*_pages)); }
    std::byte* at(u64 physical) {
        const u64 base = virt_to_phys(bytes());
        return reinterpret_cast<std::byte*>(reinterpret_cast<u64>(bytes()) + (physical - base));
    }

private:
    page* _pages;
};

std::string text_of(const packet_buffer& frame) {
    std::string text(frame.size(), '\0');
    frame.copy_out(0, text.data(), text.size());
    return text;
}

class vmxnet3_receiving : public ::testing::Test {
protected:
    static constexpr u32 number = 1, queues = 2;

    vmxnet3_receiving() { driver.init(memory.bytes(), number, queues); }
    ~vmxnet3_receiving() override { driver.clear(); }

    descriptor& head_at(u32 place) {
        return reinterpret_cast<descriptor*>(memory.bytes())[place];
    }
    descriptor& body_at(u32 place) { return head_at(receive_rings::head_entries + place); }
    completion& completion_at(u32 place) {
        return reinterpret_cast<completion*>(&head_at(receive_rings::completions))[place];
    }
    bool has_buffer() const {
        const u32 word = const_cast<vmxnet3_receiving*>(this)->head_at(head).words[0];
        return (word >> 31) == head_generation;
    }
    void complete(u32 first, u32 length, u32 flags = 0) {
        completion_at(next.at) = {{first, 0, length, flags | next.generation << 31}};
        next.advance(receive_rings::completions);
    }
    // Fills the next buffer of the first ring.
    u32 fill_head(const std::string& part) {
        EXPECT_TRUE(has_buffer());
        const u32 at = head;
        std::memcpy(memory.at(head_at(at).address), part.data(), part.size());
        if (++head == receive_rings::head_entries) {
            head = 0;
            head_generation ^= 1;
        }
        return at | number << completed::ring_shift;
    }
    void receive(const std::string& bytes, u32 flags = 0, u32 first = 0) {
        complete(fill_head(bytes) | completed::start | completed::end | first,
                 static_cast<u32>(bytes.size()), flags);
    }

    device_memory memory;
    receive_rings driver;
    cursor next;
    u32 head = 0, head_generation = 1;
    packet_ptr frame;
};

TEST_F(vmxnet3_receiving, frames_arrive_in_order_for_ever) {
    u32 sent = 0, seen = 0;
    std::mt19937 random(3);
    while (seen < 5000) {
        ASSERT_TRUE(driver.refill());
        for (u32 burst = random() % 300; burst != 0 && has_buffer(); --burst) {
            receive(std::to_string(sent++) + std::string(60 + random() % 1400, 'x'));
        }
        while (driver.take(frame) == nic::received::frame) {
            EXPECT_EQ(text_of(*frame).substr(0, std::to_string(seen).size()), std::to_string(seen));
            ++seen;
        }
        ASSERT_EQ(seen, sent);
    }
}

TEST_F(vmxnet3_receiving, the_card_vouches_for_sums_of_whole_transport_packets) {
    ASSERT_TRUE(driver.refill());
    const std::string bytes(100, 'c');
    const struct {
        u32 flags, first;
        bool valid;
    } cases[] = {
        {completed::tcp | completed::transport_good, 0, true},
        {completed::udp | completed::transport_good, 0, true},
        {completed::tcp, 0, false},
        {completed::transport_good, 0, false},
        {completed::tcp | completed::transport_good, completed::no_checksum, false},
        {completed::udp | completed::transport_good | completed::fragment, 0, false},
    };
    for (const auto& each : cases) {
        receive(bytes, each.flags, each.first);
        ASSERT_EQ(driver.take(frame), nic::received::frame);
        EXPECT_EQ(frame->checksum_valid, each.valid) << each.flags;
    }
}

TEST_F(vmxnet3_receiving, a_frame_of_several_buffers_is_put_together) {
    ASSERT_TRUE(driver.refill());
    const std::string begin(1984, 'b'), rest(700, 'r');
    complete(fill_head(begin) | completed::start, 1984);
    EXPECT_EQ(driver.take(frame), nic::received::none);
    std::memcpy(memory.at(body_at(0).address), rest.data(), rest.size());
    complete((number + queues) << completed::ring_shift | completed::end, 700);
    ASSERT_EQ(driver.take(frame), nic::received::frame);
    EXPECT_EQ(text_of(*frame), begin + rest);
}

TEST_F(vmxnet3_receiving, bad_frames_are_dropped) {
    ASSERT_TRUE(driver.refill());
    receive(std::string(13, 's'));
    EXPECT_EQ(driver.take(frame), nic::received::dropped);
    complete(fill_head("x") | completed::start | completed::end, 60 | completed::error);
    EXPECT_EQ(driver.take(frame), nic::received::dropped);
    complete(fill_head("x") | completed::end, 60);  // an end without a start
    EXPECT_EQ(driver.take(frame), nic::received::dropped);
    receive(std::string(60, 'g'));
    EXPECT_EQ(driver.take(frame), nic::received::frame);
}

TEST_F(vmxnet3_receiving, buffers_that_were_passed_over_are_given_again) {
    ASSERT_TRUE(driver.refill());
    for (int i = 0; i < 40; ++i) {
        (void)fill_head("skipped");
    }
    receive(std::string(60, 'g'));
    EXPECT_EQ(driver.take(frame), nic::received::frame);
    const u64 kept = head_at(3).address;
    ASSERT_TRUE(driver.refill());
    EXPECT_EQ(head_at(3).address, kept);
    EXPECT_EQ(head_at(3).words[0] >> 31, 0u) << "the second round's generation";
}

TEST_F(vmxnet3_receiving, what_is_impossible_ends_the_ring) {
    const u32 whole = completed::start | completed::end;
    const struct {
        u32 first, length;
    } cases[] = {
        {number << completed::ring_shift | 255 | whole, 60},             // never given
        {number << completed::ring_shift | 300 | whole, 60},             // beyond the ring
        {(number + queues) << completed::ring_shift | 32 | whole, 60},   // likewise
        {0u << completed::ring_shift | whole, 60},                       // of another queue
        {1023u << completed::ring_shift | whole, 60},                    // of none
        {number << completed::ring_shift | whole, 1985},                 // longer than the buffer
    };
    for (const auto& each : cases) {
        receive_rings fresh;
        device_memory ring;
        fresh.init(ring.bytes(), number, queues);
        ASSERT_TRUE(fresh.refill());
        auto* first = reinterpret_cast<completion*>(reinterpret_cast<descriptor*>(ring.bytes()) +
                                                    receive_rings::completions);
        *first = {{each.first, 0, each.length, completed::generation}};
        EXPECT_EQ(fresh.take(frame), nic::received::broken) << std::hex << each.first;
        fresh.clear();
    }
}

TEST_F(vmxnet3_receiving, a_buffer_cannot_come_back_twice) {
    ASSERT_TRUE(driver.refill());
    receive(std::string(60, 'g'));
    EXPECT_EQ(driver.take(frame), nic::received::frame);
    complete(number << completed::ring_shift | completed::start | completed::end, 60);
    EXPECT_EQ(driver.take(frame), nic::received::broken);
}

packet_ptr frame_of(usize pieces, usize length, char fill) {
    packet_ptr made = packet_buffer::make().take();
    std::memset(made->push(60), fill, 60);
    for (; pieces > 1; --pieces) {
        auto part = chunk::allocate(net::chunk_size::large).take();
        std::byte* bytes = part->data();
        std::memset(bytes, fill, length);
        EXPECT_TRUE(made->append(std::move(part), bytes, length));
    }
    return made;
}

class vmxnet3_sending : public ::testing::Test {
protected:
    vmxnet3_sending() { driver.init(memory.bytes()); }
    ~vmxnet3_sending() override { driver.clear(); }

    descriptor& at(u32 index) {
        return reinterpret_cast<descriptor*>(memory.bytes())[index % transmit_rings::entries];
    }
    nic::placed give(packet_ptr frame) {
        const auto where = driver.put(*frame);
        if (where == nic::placed::on_ring) {
            frame.leak();
        }
        return where;
    }
    // As the card: all frames that are handed over, each completed.
    std::vector<std::string> send() {
        std::vector<std::string> frames;
        std::string bytes;
        for (;; ++place) {
            const descriptor& next_one = at(place);
            const u32 mine = (place / transmit_rings::entries) % 2 == 0 ? 1 : 0;
            if (((next_one.words[0] & transmit_word::generation) != 0) != (mine == 1)) {
                EXPECT_TRUE(bytes.empty()) << "half a frame was handed over";
                return frames;
            }
            if (bytes.empty()) {
                heads.push_back(next_one);
            }
            const u32 length = next_one.words[0] & transmit_word::length_mask;
            bytes.append(reinterpret_cast<char*>(memory.at(next_one.address)), length);
            if ((next_one.words[1] & transmit_word::end) != 0) {
                frames.push_back(std::exchange(bytes, {}));
                complete(place % transmit_rings::entries);
            }
        }
    }
    void complete(u32 index) {
        auto* ring = reinterpret_cast<completion*>(
            reinterpret_cast<descriptor*>(memory.bytes()) + transmit_rings::entries);
        ring[next.at] = {{index, 0, 0, next.generation << 31}};
        next.advance(transmit_rings::entries);
    }

    device_memory memory;
    transmit_rings driver;
    cursor next;
    u32 place = 0;
    std::vector<descriptor> heads;
    net::packet_queue sent;
};

TEST_F(vmxnet3_sending, frames_go_whole_for_ever) {
    std::mt19937 random(9);
    for (u32 round = 0; round < 500; ++round) {
        std::vector<std::string> wanted;
        for (u32 i = 0; i < 20; ++i) {
            const usize pieces = 1 + random() % 8, length = 1 + random() % 9000;
            const char fill = static_cast<char>('a' + random() % 26);
            ASSERT_EQ(give(frame_of(pieces, length, fill)), nic::placed::on_ring);
            wanted.emplace_back(60 + (pieces - 1) * length, fill);
        }
        EXPECT_EQ(send(), wanted);
        ASSERT_TRUE(driver.reap(sent));
        EXPECT_EQ(sent.count(), wanted.size());
        sent.clear();
    }
}

TEST_F(vmxnet3_sending, many_short_pieces_are_put_together) {
    ASSERT_EQ(give(frame_of(19, 50, 'p')), nic::placed::on_ring);
    EXPECT_EQ(send(), std::vector<std::string>{std::string(60 + 18 * 50, 'p')});
    EXPECT_EQ(place, 1u);
}

TEST_F(vmxnet3_sending, sums_and_segments_are_asked_for_in_the_first_descriptor) {
    packet_ptr sums = frame_of(2, 100, 's');
    sums->offload.checksum = true;
    sums->offload.checksum_start = 34;
    sums->offload.checksum_offset = 16;
    ASSERT_EQ(give(std::move(sums)), nic::placed::on_ring);
    packet_ptr stream = frame_of(4, 9000, 't');
    stream->offload.checksum = true;
    stream->offload.checksum_start = 34;
    stream->offload.checksum_offset = 16;
    stream->offload.kind = net::transmit_offload::segmentation::tcp4;
    stream->offload.segment_size = 1448;
    stream->offload.header_size = 60;
    ASSERT_EQ(give(std::move(stream)), nic::placed::on_ring);
    EXPECT_EQ(send().size(), 2u);
    EXPECT_EQ(heads[0].words[0] >> transmit_word::segment_shift, 50u);
    EXPECT_EQ(heads[0].words[1], 34 | transmit_word::checksum);
    EXPECT_EQ(heads[1].words[0] >> transmit_word::segment_shift, 1448u);
    EXPECT_EQ(heads[1].words[1], 60 | transmit_word::segment);
}

TEST_F(vmxnet3_sending, a_full_ring_has_no_room_until_the_card_has_sent) {
    u32 count = 0;
    while (give(frame_of(1, 0, 'f')) == nic::placed::on_ring) {
        ++count;
    }
    EXPECT_EQ(count, transmit_rings::entries - 1);
    EXPECT_EQ(send().size(), count);
    EXPECT_TRUE(driver.reap(sent));
    EXPECT_EQ(give(frame_of(1, 0, 'f')), nic::placed::on_ring);
}

TEST_F(vmxnet3_sending, an_index_that_ends_no_frame_under_way_ends_the_ring) {
    for (const u32 index : {0u, 2u, 3u, 200u, 4000u}) {
        transmit_rings fresh;
        device_memory ring;
        fresh.init(ring.bytes());
        packet_ptr frame = frame_of(2, 50, 'x');  // descriptors 0 and 1
        ASSERT_EQ(fresh.put(*frame), nic::placed::on_ring);
        frame.leak();
        auto* first = reinterpret_cast<completion*>(reinterpret_cast<descriptor*>(ring.bytes()) +
                                                    transmit_rings::entries);
        *first = {{index, 0, 0, completed::generation}};
        EXPECT_FALSE(fresh.reap(sent)) << index;
        sent.clear();
        fresh.clear();
    }
}

// Whatever a card writes: no buffer is freed twice or read beyond its end, which the sanitizers see.
TEST(vmxnet3_rings, a_card_that_writes_anything_corrupts_nothing) {
    for (u32 seed = 0; seed < 200; ++seed) {
        device_memory receive_memory, transmit_memory;
        receive_rings receives;
        transmit_rings sends;
        receives.init(receive_memory.bytes(), 0, 1);
        sends.init(transmit_memory.bytes());
        std::mt19937 random(seed);
        for (int step = 0; step < 300; ++step) {
            for (auto* memory : {&receive_memory, &transmit_memory}) {
                const usize size = memory == &receive_memory ? receive_rings::total_bytes
                                                             : transmit_rings::total_bytes;
                // Whole words, with values that are often near to what would be right.
                auto* words = reinterpret_cast<u32*>(memory->bytes());
                const u32 small = static_cast<u32>(random() % 300);
                const u32 flags = static_cast<u32>(random()) & 0xe000'c000;
                words[random() % (size / 4)] = step % 2 == 0 ? small | flags : random();
            }
            (void)receives.refill();
            packet_ptr frame;
            if (receives.take(frame) == nic::received::frame) {
                (void)text_of(*frame);
            }
            packet_ptr made = frame_of(1 + random() % 19, 1 + random() % 90, 'z');
            if (sends.put(*made) == nic::placed::on_ring) {
                made.leak();
            }
            net::packet_queue sent;
            (void)sends.reap(sent);
        }
        receives.clear();
        sends.clear();
    }
}

}  // namespace
}  // namespace kiln::vmxnet3
