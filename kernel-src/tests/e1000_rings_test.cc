// The rings of the Intel driver against a card simulated in the test, good and bad.
#include "drivers/e1000/rings.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/page.hh"
#include "drivers/mmio.hh"
#include "net/checksum.hh"
#include "net/wire.hh"

namespace kiln::e1000 {
namespace {

using net::chunk;
using net::packet_buffer;
using net::packet_ptr;

// Two rings, the registers' memory, and what a card does with them.
class simulated_card {
public:
    simulated_card() : _registers(reg::window_size) {
        _pages = alloc_pages(1).value();
        _memory = static_cast<std::byte*>(page_data(*_pages));
        std::memset(_memory, 0, 2 * rings::ring_bytes);
        driver.init(_memory, _registers.data(), cause::received, cause::sent);
        driver.program();
    }
    ~simulated_card() {
        driver.clear();
        drop_page_reference(*_pages);
    }

    u32 register_at(u32 where) { return mmio_read<u32>(_registers.data(), where); }
    receive_descriptor& receive_at(u32 place) {
        return reinterpret_cast<receive_descriptor*>(_memory)[place % rings::entries];
    }
    transmit_descriptor& transmit_at(u32 place) {
        return reinterpret_cast<transmit_descriptor*>(_memory + rings::ring_bytes)[place %
                                                                                  rings::entries];
    }
    bool has_buffer() {
        return _received % rings::entries != register_at(reg::receive_base + reg::ring_tail);
    }
    std::byte* bytes_at(u64 physical) {
        const u64 base = virt_to_phys(_memory);
        return reinterpret_cast<std::byte*>(reinterpret_cast<u64>(_memory) + (physical - base));
    }
    void receive(const std::string& frame, u8 status = receive_status::end, u8 errors = 0) {
        ASSERT_TRUE(has_buffer());
        receive_descriptor& at = receive_at(_received++);
        std::memcpy(bytes_at(at.address), frame.data(), frame.size());
        at.length = static_cast<u16>(frame.size());
        at.errors = errors;
        at.status = status | receive_status::done;
    }
    // Everything up to the tail: frames, and the contexts met on the way.
    std::vector<std::string> send() {
        std::vector<std::string> frames;
        std::string frame;
        const u32 tail = register_at(reg::transmit_base + reg::ring_tail);
        for (; _sent % rings::entries != tail; ++_sent) {
            transmit_descriptor& at = transmit_at(_sent);
            if ((at.command & transmit_command::data) == 0) {
                contexts.push_back(at);
                continue;
            }
            ++data_descriptors;
            frame.append(reinterpret_cast<char*>(bytes_at(at.address)), at.command & 0xfffff);
            if ((at.command & transmit_command::end) != 0) {
                frames.push_back(std::exchange(frame, {}));
            }
            if ((at.command & transmit_command::report) != 0) {
                at.options |= transmit_option::done;
            }
        }
        return frames;
    }

    rings driver;
    std::vector<transmit_descriptor> contexts;
    u32 data_descriptors = 0;

private:
    page* _pages;
    std::byte* _memory;
    std::vector<u8> _registers;
    u32 _received = 0;
    u32 _sent = 0;
};

std::string text_of(const packet_buffer& frame) {
    std::string text(frame.size(), '\0');
    frame.copy_out(0, text.data(), text.size());
    return text;
}

packet_ptr frame_of(usize size, char fill) {
    packet_ptr made = packet_buffer::make().take();
    std::memset(made->push(60), fill, 60);
    while (made->size() < size) {
        auto part = chunk::allocate(net::chunk_size::large).take();
        std::byte* bytes = part->data();
        const usize length = std::min(size - made->size(), part->capacity());
        std::memset(bytes, fill, length);
        EXPECT_TRUE(made->append(std::move(part), bytes, length));
    }
    return made;
}

nic::placed give(simulated_card& card, packet_ptr frame) {
    const auto where = card.driver.put(*frame);
    if (where == nic::placed::on_ring) {
        frame.leak();
    }
    return where;
}

TEST(e1000_rings, frames_arrive_in_order_for_ever) {
    simulated_card card;
    u32 next = 0, seen = 0;
    std::mt19937 random(3);
    while (seen < 5000) {
        ASSERT_TRUE(card.driver.refill());
        for (u32 burst = random() % 300; burst != 0 && card.has_buffer(); --burst) {
            card.receive(std::to_string(next++) + std::string(60 + random() % 1400, 'x'));
        }
        packet_ptr frame;
        while (card.driver.take(frame) == nic::received::frame) {
            EXPECT_EQ(text_of(*frame).substr(0, std::to_string(seen).size()), std::to_string(seen));
            ++seen;
        }
        ASSERT_EQ(seen, next);
    }
}

TEST(e1000_rings, bad_frames_are_dropped) {
    simulated_card card;
    ASSERT_TRUE(card.driver.refill());
    const std::string good(100, 'g');
    card.receive(std::string(13, 's'));
    card.receive(good, receive_status::end, 1);  // a wrong CRC
    card.receive(good, 0);                       // three parts of one frame
    card.receive(good, 0);
    card.receive(good, receive_status::end);
    packet_ptr frame;
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(card.driver.take(frame), nic::received::dropped) << i;
    }
    card.receive(good);
    EXPECT_EQ(card.driver.take(frame), nic::received::frame);
    EXPECT_FALSE(frame->checksum_valid);
    card.receive(good, receive_status::end | receive_status::transport_checked);
    EXPECT_EQ(card.driver.take(frame), nic::received::frame);
    EXPECT_TRUE(frame->checksum_valid);
    card.receive(good, receive_status::end | receive_status::transport_checked,
                 receive_error::transport_checksum);
    EXPECT_EQ(card.driver.take(frame), nic::received::frame);
    EXPECT_FALSE(frame->checksum_valid);
    EXPECT_EQ(card.driver.take(frame), nic::received::none);
}

TEST(e1000_rings, a_length_beyond_the_buffer_ends_the_ring) {
    simulated_card card;
    ASSERT_TRUE(card.driver.refill());
    card.receive(std::string(100, 'x'));
    card.receive_at(0).length = 1985;
    packet_ptr frame;
    EXPECT_EQ(card.driver.take(frame), nic::received::broken);
}

TEST(e1000_rings, what_was_never_given_is_not_taken) {
    simulated_card card;
    packet_ptr frame;
    card.receive_at(0).status = receive_status::done | receive_status::end;
    EXPECT_EQ(card.driver.take(frame), nic::received::none);
    card.transmit_at(0).options = transmit_option::done;
    net::packet_queue sent;
    EXPECT_TRUE(card.driver.reap(sent));
    EXPECT_TRUE(sent.empty());
}

TEST(e1000_rings, frames_are_sent_whole_in_pieces_the_card_can_take) {
    simulated_card card;
    for (u32 round = 0; round < 200; ++round) {
        const usize sizes[] = {60, 61, 1514, 20'000, 60'000};
        for (const usize size : sizes) {
            ASSERT_EQ(give(card, frame_of(size, 'a')), nic::placed::on_ring);
        }
        EXPECT_TRUE(card.send().empty()) << "before the card was told";
        card.driver.tell_device();
        const auto frames = card.send();
        ASSERT_EQ(frames.size(), std::size(sizes));
        for (usize i = 0; i < frames.size(); ++i) {
            EXPECT_EQ(frames[i], std::string(sizes[i], 'a'));
        }
        net::packet_queue sent;
        EXPECT_TRUE(card.driver.reap(sent));
        EXPECT_EQ(sent.count(), std::size(sizes));
    }
    EXPECT_TRUE(card.contexts.empty());
}

TEST(e1000_rings, a_full_ring_has_no_room_until_the_card_has_sent) {
    simulated_card card;
    u32 placed = 0;
    while (give(card, frame_of(60, 'f')) == nic::placed::on_ring) {
        ++placed;
    }
    EXPECT_EQ(placed, rings::entries - 1);
    card.driver.tell_device();
    EXPECT_EQ(card.send().size(), placed);
    EXPECT_TRUE(card.driver.has_sent());
    net::packet_queue sent;
    EXPECT_TRUE(card.driver.reap(sent));
    EXPECT_EQ(sent.count(), placed);
    EXPECT_EQ(give(card, frame_of(60, 'f')), nic::placed::on_ring);
}

packet_ptr tcp_frame(usize size) {
    packet_ptr frame = frame_of(size, 0);
    auto* ip = net::header_at<net::ipv4_header>(frame->data() + 14);
    ip->total_size = static_cast<u16>(size - 14);
    ip->checksum = 0x1234;
    frame->offload.checksum = true;
    frame->offload.checksum_start = 34;
    frame->offload.checksum_offset = offsetof(net::tcp_header, checksum);
    auto* tcp = net::header_at<net::tcp_header>(frame->data() + 34);
    tcp->checksum = net::checksum_fold(net::pseudo_header_sum(
        net::any_v4, net::any_v4, net::ip_protocol::tcp, static_cast<u32>(size - 34)));
    return frame;
}

TEST(e1000_rings, sums_are_described_once) {
    simulated_card card;
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(give(card, tcp_frame(200)), nic::placed::on_ring);
    }
    card.driver.tell_device();
    EXPECT_EQ(card.send().size(), 3u);
    ASSERT_EQ(card.contexts.size(), 1u);
    EXPECT_EQ(static_cast<u8>(card.contexts[0].address >> 32), 34);
    EXPECT_EQ(static_cast<u8>(card.contexts[0].address >> 40), 34 + 16);
    EXPECT_EQ(card.transmit_at(1).options & ~transmit_option::done,
              transmit_option::transport_checksum);
}

TEST(e1000_rings, a_stream_is_cut_by_the_card) {
    simulated_card card;
    packet_ptr frame = tcp_frame(30'000);
    frame->offload.kind = net::transmit_offload::segmentation::tcp4;
    frame->offload.segment_size = 1460;
    frame->offload.header_size = 54;
    ASSERT_EQ(give(card, std::move(frame)), nic::placed::on_ring);
    card.driver.tell_device();
    const auto sent = card.send();
    ASSERT_EQ(sent.size(), 1u);
    ASSERT_EQ(card.contexts.size(), 1u);
    EXPECT_EQ(card.contexts[0].command & 0xfffff, 30'000u - 54);
    EXPECT_EQ(card.contexts[0].options, 54u << 8 | 1460u << 16);
    std::string bytes = sent[0];
    const auto* ip = net::header_at<net::ipv4_header>(
        reinterpret_cast<std::byte*>(bytes.data()) + 14);
    EXPECT_EQ(ip->total_size, 0);
    EXPECT_EQ(ip->checksum, 0);
    const auto* tcp = net::header_at<net::tcp_header>(
        reinterpret_cast<std::byte*>(bytes.data()) + 34);
    const u16 bare = net::checksum_fold(
        net::pseudo_header_sum(net::any_v4, net::any_v4, net::ip_protocol::tcp, 0));
    EXPECT_EQ(tcp->checksum % 0xffff, bare % 0xffff);
}

// Whatever a card writes into the rings: no buffer is freed twice or read beyond its end, which the
// sanitizers see.
TEST(e1000_rings, a_card_that_writes_anything_corrupts_nothing) {
    for (u32 seed = 0; seed < 50; ++seed) {
        simulated_card card;
        std::mt19937 random(seed);
        for (int step = 0; step < 500; ++step) {
            auto scribble = [&](auto& descriptor) {
                auto* bytes = reinterpret_cast<u8*>(&descriptor);
                bytes[8 + random() % 8] = static_cast<u8>(random());
            };
            scribble(card.receive_at(static_cast<u32>(random())));
            scribble(card.transmit_at(static_cast<u32>(random())));
            (void)card.driver.refill();
            packet_ptr frame;
            if (card.driver.take(frame) == nic::received::frame) {
                EXPECT_LE(frame->size(), 1984u);
                (void)text_of(*frame);
            }
            (void)give(card, frame_of(60 + random() % 20'000, 'z'));
            net::packet_queue sent;
            (void)card.driver.reap(sent);
        }
    }
}

}  // namespace
}  // namespace kiln::e1000
