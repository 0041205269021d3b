// The rings of a virtual network interface of Xen against a backend simulated in the test, good and
// bad.
#include "drivers/xen/net_rings.hh"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/xen_rig.hh"

namespace kiln::xen {
namespace {

using net::chunk;
using net::packet_buffer;
using net::packet_ptr;
using segmentation = net::transmit_offload::segmentation;

u32 bells = 0;
constexpr doorbell bell{[](u32) { ++bells; }, 5};

std::string text_of(const packet_buffer& frame) {
    std::string text(frame.size(), '\0');
    frame.copy_out(0, text.data(), text.size());
    return text;
}

class rings_rig {
public:
    rings_rig() {
        EXPECT_TRUE(rings.open(grants.table, backend_domain).ok());
        rings.connect(bell, true);
        attach();
    }
    ~rings_rig() { rings.clear(); }
    // The backend maps the rings anew.
    void attach() {
        receives.emplace(grants.reach(rings.receive_page(), true), receive_ring::ring::size);
        sends.emplace(grants.reach(rings.send_page(), true), send_ring::ring::size);
    }

    // As the backend receives for us: one slot.
    void fill(const std::string& bytes, u16 flags = 0, u16 offset = 0) {
        const auto request = receives->take();
        std::byte* page = grants.reach(request.page, true);
        ASSERT_NE(page, nullptr);
        std::memcpy(page + offset, bytes.data(), bytes.size());
        receives->put(receive_response{request.id, offset, flags, static_cast<i16>(bytes.size())});
    }
    void fill_extra(extra_info made) {
        (void)receives->take();
        receives->put(made);
    }
    bool receive(const std::string& bytes, u16 flags = 0) {
        fill(bytes, flags);
        return receives->publish();
    }

    grant_rig grants;
    net_rings rings;
    std::optional<back_ring<receive_request, receive_response>> receives;
    std::optional<back_ring<send_request, send_response>> sends;
    packet_ptr frame;
};

// ---- receiving ----

TEST(xen_receiving, frames_arrive_in_order_for_ever) {
    rings_rig on;
    std::mt19937 random(3);
    u32 sent = 0, seen = 0;
    while (seen < 5000) {
        ASSERT_TRUE(on.rings.refill());
        for (u32 burst = random() % 300; burst != 0 && on.receives->has_request(); --burst) {
            (void)on.receive(std::to_string(sent++) + std::string(60 + random() % 1400, 'x'));
        }
        while (on.rings.take(on.frame) == nic::received::frame) {
            EXPECT_EQ(text_of(*on.frame).substr(0, std::to_string(seen).size()),
                      std::to_string(seen));
            ++seen;
        }
        ASSERT_EQ(seen, sent);
    }
}

TEST(xen_receiving, all_pages_are_given_and_the_backend_is_told) {
    rings_rig on;
    bells = 0;
    ASSERT_TRUE(on.rings.refill());
    EXPECT_EQ(bells, 1u);
    u32 given = 0;
    for (; on.receives->has_request(); ++given) {
        EXPECT_EQ(on.receives->take().id, given);
    }
    EXPECT_EQ(given, receive_ring::ring::size);
}

TEST(xen_receiving, a_frame_may_begin_anywhere_in_its_page) {
    rings_rig on;
    ASSERT_TRUE(on.rings.refill());
    on.fill(std::string(1514, 'o'), 0, 2582);
    (void)on.receives->publish();
    ASSERT_EQ(on.rings.take(on.frame), nic::received::frame);
    EXPECT_EQ(text_of(*on.frame), std::string(1514, 'o'));
}

TEST(xen_receiving, a_long_frame_of_many_slots_is_put_together) {
    rings_rig on;
    std::mt19937 random(4);
    for (int round = 0; round < 40; ++round) {
        ASSERT_TRUE(on.rings.refill());
        std::string whole;
        const u32 slots = random() % 16 + 2;
        for (u32 i = 0; i < slots; ++i) {
            std::string part(random() % 4096 + (i == 0 ? 14 : 1), static_cast<char>('a' + i));
            part.resize(std::min<usize>(part.size(), 4096));
            const bool first_with_extra = i == 0 && round % 2 == 0;
            on.fill(part, static_cast<u16>((i + 1 < slots ? net_flag::more_data : 0) |
                                           (first_with_extra ? net_flag::extra_info : 0) |
                                           (i == 0 ? net_flag::checksum_blank : 0)));
            if (first_with_extra) {
                on.fill_extra({extra::segmentation, 0, 1448, extra::tcp4, 0, 0});
            }
            whole += part;
        }
        // Half of it may be seen first.
        (void)on.receives->publish();
        ASSERT_EQ(on.rings.take(on.frame), nic::received::frame) << slots;
        EXPECT_EQ(text_of(*on.frame), whole);
        EXPECT_TRUE(on.frame->checksum_valid);
    }
}

TEST(xen_receiving, a_frame_of_which_only_half_has_arrived_is_waited_for) {
    rings_rig on;
    ASSERT_TRUE(on.rings.refill());
    on.fill(std::string(4096, 'a'), net_flag::more_data | net_flag::extra_info);
    (void)on.receives->publish();
    EXPECT_EQ(on.rings.take(on.frame), nic::received::none);
    on.fill_extra({extra::segmentation, extra::more, 1448, extra::tcp4, 0, 0});
    (void)on.receives->publish();
    EXPECT_EQ(on.rings.take(on.frame), nic::received::none);
    on.fill_extra({4, 0, 0, 0, 0, 0});
    (void)on.receives->publish();
    EXPECT_EQ(on.rings.take(on.frame), nic::received::none);
    EXPECT_TRUE(on.receive(std::string(10, 'b')) || true);
    ASSERT_EQ(on.rings.take(on.frame), nic::received::frame);
    EXPECT_EQ(text_of(*on.frame), std::string(4096, 'a') + std::string(10, 'b'));
}

TEST(xen_receiving, the_backend_vouches_for_sums) {
    rings_rig on;
    ASSERT_TRUE(on.rings.refill());
    const struct {
        u16 flags;
        bool valid;
    } cases[] = {{0, false},
                 {net_flag::data_validated, true},
                 {net_flag::checksum_blank, true},
                 {net_flag::data_validated | net_flag::checksum_blank, true}};
    for (const auto& each : cases) {
        (void)on.receive(std::string(100, 'c'), each.flags);
        ASSERT_EQ(on.rings.take(on.frame), nic::received::frame);
        EXPECT_EQ(on.frame->checksum_valid, each.valid) << each.flags;
    }
}

TEST(xen_receiving, bad_frames_are_dropped_whole_and_the_next_is_good) {
    rings_rig on;
    ASSERT_TRUE(on.rings.refill());
    const std::string good(60, 'g');
    auto expect_dropped = [&] {
        (void)on.receives->publish();
        EXPECT_EQ(on.rings.take(on.frame), nic::received::dropped);
        (void)on.receive(good);
        EXPECT_EQ(on.rings.take(on.frame), nic::received::frame);
    };
    on.fill(std::string(13, 's'));
    expect_dropped();
    on.fill("");
    expect_dropped();
    const auto request = on.receives->take();
    on.receives->put(receive_response{request.id, 0, 0, -1});
    expect_dropped();
    on.fill(good, net_flag::extra_info);
    on.fill_extra({0, 0, 0, 0, 0, 0});
    expect_dropped();
    on.fill(good, net_flag::extra_info);
    on.fill_extra({99, 0, 0, 0, 0, 0});
    expect_dropped();
    // Longer than any packet.
    for (int i = 0; i < 30; ++i) {
        on.fill(std::string(4096, 'l'), i < 29 ? net_flag::more_data : u16{0});
    }
    expect_dropped();
}

TEST(xen_receiving, what_is_impossible_ends_the_ring) {
    const struct {
        u16 id, offset;
        i16 status;
    } cases[] = {
        {1, 0, 60},        // of another slot
        {256, 0, 60},      // of none
        {0xffff, 0, 60},
        {0, 4000, 97},     // beyond the page
        {0, 0, 4097},
        {0, 0xffff, 60},
        {0, 0, 0x7fff},
    };
    for (const auto& each : cases) {
        rings_rig on;
        ASSERT_TRUE(on.rings.refill());
        (void)on.receives->take();
        on.receives->put(receive_response{each.id, each.offset, 0, each.status});
        (void)on.receives->publish();
        EXPECT_EQ(on.rings.take(on.frame), nic::received::broken) << each.id << each.offset;
    }
    rings_rig on;
    ASSERT_TRUE(on.rings.refill());
    on.receives->word(2) = 257;
    EXPECT_EQ(on.rings.take(on.frame), nic::received::broken);
}

TEST(xen_receiving, what_is_written_after_a_frame_was_taken_is_not_seen) {
    rings_rig on;
    ASSERT_TRUE(on.rings.refill());
    const auto request = on.receives->take();
    std::byte* page = on.grants.reach(request.page, true);
    std::memset(page, 'a', 60);
    on.receives->put(receive_response{request.id, 0, 0, 60});
    (void)on.receives->publish();
    ASSERT_EQ(on.rings.take(on.frame), nic::received::frame);
    std::memset(page, 'b', page_size);
    EXPECT_EQ(text_of(*on.frame), std::string(60, 'a'));
}

TEST(xen_receiving, an_event_is_asked_for_once) {
    rings_rig on;
    ASSERT_TRUE(on.rings.refill());
    EXPECT_TRUE(on.receive(std::string(60, 'a'))) << "as a new ring does";
    EXPECT_FALSE(on.receive(std::string(60, 'a')));
    while (on.rings.take(on.frame) == nic::received::frame) {
    }
    on.rings.allow_interrupts(false);
    EXPECT_TRUE(on.receive(std::string(60, 'a')));
    EXPECT_FALSE(on.receive(std::string(60, 'a')));
}

// ---- sending ----

packet_ptr frame_of(usize head, usize pieces = 0, usize length = 0) {
    packet_ptr made = packet_buffer::make().take();
    char next = 'A';
    std::memset(made->push(head), next, head);
    for (; pieces != 0; --pieces) {
        auto part = chunk::allocate(net::chunk_size::large).take();
        std::byte* bytes = part->data();
        std::memset(bytes, ++next, length);
        EXPECT_TRUE(made->append(std::move(part), bytes, length));
    }
    return made;
}

class xen_sending : public ::testing::Test {
protected:
    nic::placed give(packet_ptr frame) {
        const auto where = on.rings.put(*frame);
        if (where == nic::placed::on_ring) {
            frame.leak();
        }
        return where;
    }
    struct sent_frame {
        std::string bytes;
        send_request first;
        std::optional<extra_info> extra;
        std::vector<u16> numbers;
    };
    // As the backend: the next frame.
    sent_frame fetch() {
        sent_frame found{};
        found.first = on.sends->take();
        send_request part = found.first;
        found.numbers.push_back(part.id);
        if ((part.flags & net_flag::extra_info) != 0) {
            found.extra = on.sends->take<extra_info>();
        }
        std::vector<send_request> rest;
        usize of_rest = 0;
        while ((part.flags & net_flag::more_data) != 0) {
            part = on.sends->take();
            EXPECT_EQ(part.flags & ~net_flag::more_data, 0);
            found.numbers.push_back(part.id);
            rest.push_back(part);
            of_rest += part.size;
        }
        add(found.bytes, found.first, found.first.size - of_rest);
        for (const send_request& each : rest) {
            add(found.bytes, each, each.size);
        }
        EXPECT_EQ(found.bytes.size(), found.first.size);
        return found;
    }
    void add(std::string& to, const send_request& part, usize size) {
        ASSERT_LE(part.offset + size, page_size);
        EXPECT_EQ(on.grants.reach(part.page, true), nullptr) << "it may only read";
        const std::byte* page = on.grants.reach(part.page, false);
        ASSERT_NE(page, nullptr);
        to.append(reinterpret_cast<const char*>(page + part.offset), size);
    }
    void finish(const sent_frame& frame) {
        for (const u16 number : frame.numbers) {
            on.sends->put(send_response{number, 0});
        }
        if (frame.extra) {
            on.sends->put(send_response{frame.first.id, send_status::of_extra_info});
        }
    }
    bool reap() {
        sent.clear();
        return on.rings.reap(sent);
    }

    rings_rig on;
    net::packet_queue sent;
};

TEST_F(xen_sending, frames_of_all_shapes_arrive) {
    for (const auto& [pieces, length] : {std::pair{0, 0}, {1, 100}, {3, 1448}, {18, 200},
                                         {4, 16000}, {17, 3800}}) {
        packet_ptr frame = frame_of(66, static_cast<usize>(pieces), static_cast<usize>(length));
        const std::string bytes = text_of(*frame);
        ASSERT_EQ(give(std::move(frame)), nic::placed::on_ring);
        on.rings.tell_device();
        const sent_frame got = fetch();
        EXPECT_EQ(got.bytes, bytes);
        EXPECT_LE(got.numbers.size(), 18u);
        EXPECT_EQ(got.numbers.size(), (bytes.size() + 4095) / 4096);
        finish(got);
        (void)on.sends->publish();
        EXPECT_TRUE(reap());
        EXPECT_EQ(sent.count(), 1u);
    }
}

TEST_F(xen_sending, it_goes_round_with_answers_in_any_order) {
    std::mt19937 random(8);
    std::vector<sent_frame> under_way;
    u32 given = 0, back = 0;
    while (back < 3000) {
        for (u32 burst = random() % 30; burst != 0; --burst) {
            packet_ptr frame = frame_of(60, random() % 4, random() % 3000);
            if (random() % 3 == 0) {
                frame->offload = {true, 34, 16, segmentation::tcp4, 1448, 60};
            }
            given += give(std::move(frame)) == nic::placed::on_ring ? 1 : 0;
        }
        on.rings.tell_device();
        while (on.sends->has_request()) {
            under_way.push_back(fetch());
        }
        std::shuffle(under_way.begin(), under_way.end(), random);
        for (usize count = random() % (under_way.size() + 1); count != 0; --count) {
            finish(under_way.back());
            under_way.pop_back();
        }
        (void)on.sends->publish();
        ASSERT_TRUE(reap());
        back += static_cast<u32>(sent.count());
        ASSERT_EQ(given - back, under_way.size());
    }
}

TEST_F(xen_sending, offload_is_asked_for) {
    packet_ptr plain = frame_of(60), summed = frame_of(60), cut4 = frame_of(66, 2, 8000),
               cut6 = frame_of(86, 2, 8000);
    summed->offload = {.checksum = true, .checksum_start = 34, .checksum_offset = 16};
    cut4->offload = {true, 34, 16, segmentation::tcp4, 1448, 66};
    cut6->offload = {true, 54, 16, segmentation::tcp6, 1428, 86};
    for (packet_ptr* each : {&plain, &summed, &cut4, &cut6}) {
        ASSERT_EQ(give(std::move(*each)), nic::placed::on_ring);
    }
    on.rings.tell_device();
    constexpr u16 sum = net_flag::send_checksum_blank | net_flag::send_data_validated;
    EXPECT_EQ(fetch().first.flags, 0);
    EXPECT_EQ(fetch().first.flags, sum);
    const sent_frame four = fetch(), six = fetch();
    EXPECT_EQ(four.first.flags, sum | net_flag::extra_info | net_flag::more_data);
    EXPECT_EQ(four.extra->type, extra::segmentation);
    EXPECT_EQ(four.extra->flags, 0);
    EXPECT_EQ(four.extra->segmentation, extra::tcp4);
    EXPECT_EQ(four.extra->segment_size, 1448);
    EXPECT_EQ(six.extra->segmentation, extra::tcp6);
    EXPECT_EQ(six.extra->segment_size, 1428);
}

TEST_F(xen_sending, a_full_ring_has_no_room_until_the_backend_has_sent) {
    u32 count = 0;
    while (give(frame_of(60)) == nic::placed::on_ring) {
        ++count;
    }
    EXPECT_EQ(count, send_ring::ring::size);
    on.rings.tell_device();
    finish(fetch());
    (void)on.sends->publish();
    EXPECT_TRUE(on.rings.has_sent());
    EXPECT_TRUE(reap());
    EXPECT_EQ(sent.count(), 1u);
    EXPECT_EQ(give(frame_of(60)), nic::placed::on_ring);
    EXPECT_EQ(give(frame_of(60)), nic::placed::no_room);
}

TEST_F(xen_sending, what_can_never_be_sent_is_refused) {
    EXPECT_EQ(give(frame_of(100, 5, 15000)), nic::placed::refused);
    on.rings.connect(bell, false);
    EXPECT_EQ(give(frame_of(100, 1, 3996)), nic::placed::on_ring);
    EXPECT_EQ(give(frame_of(100, 1, 3997)), nic::placed::refused) << "of two slots";
}

TEST_F(xen_sending, a_number_that_is_not_under_way_ends_the_ring) {
    for (const int wrong : {1, 100, 256, 0x7fff, 0xffff}) {
        ASSERT_EQ(give(frame_of(60)), nic::placed::on_ring);
        on.rings.tell_device();
        const u16 right = fetch().first.id;
        on.sends->put(send_response{static_cast<u16>((right + wrong) & 0xffff), 0});
        (void)on.sends->publish();
        EXPECT_FALSE(reap()) << wrong;
        on.rings.clear();
        on.attach();
    }
}

TEST_F(xen_sending, a_number_comes_back_once) {
    ASSERT_EQ(give(frame_of(60)), nic::placed::on_ring);
    ASSERT_EQ(give(frame_of(60)), nic::placed::on_ring);
    on.rings.tell_device();
    const u16 first = fetch().first.id;
    on.sends->put(send_response{first, 0});
    on.sends->put(send_response{first, 0});
    (void)on.sends->publish();
    EXPECT_FALSE(reap());
}

TEST_F(xen_sending, after_a_reset_all_is_as_new) {
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(give(frame_of(60, 1, 9000)), i < 85 ? nic::placed::on_ring : nic::placed::no_room);
    }
    ASSERT_TRUE(on.rings.refill());
    on.rings.clear();
    on.attach();
    ASSERT_TRUE(on.rings.refill());
    EXPECT_TRUE(on.receives->has_request());
    ASSERT_EQ(give(frame_of(60)), nic::placed::on_ring);
    on.rings.tell_device();
    EXPECT_EQ(fetch().bytes, std::string(60, 'A'));
}

// Whatever a backend writes: no buffer is freed twice or read beyond its end, which the sanitizers see.
TEST(xen_net_rings, a_backend_that_writes_anything_corrupts_nothing) {
    for (u32 seed = 0; seed < 60; ++seed) {
        rings_rig on;
        std::mt19937 random(seed);
        for (int step = 0; step < 200; ++step) {
            (void)on.rings.refill();
            packet_ptr made = frame_of(60, random() % 4, random() % 5000);
            if (on.rings.put(*made) == nic::placed::on_ring) {
                made.leak();
            }
            on.rings.tell_device();
            for (const grant_reference ring : {on.rings.receive_page(), on.rings.send_page()}) {
                auto* words = reinterpret_cast<u32*>(on.grants.reach(ring, true));
                words[2] += static_cast<u32>(random() % 5);  // some are answered, with anything
                words[random() % 200] = random() % 3 == 0 ? random() : static_cast<u32>(random() % 260);
            }
            packet_ptr frame;
            nic::received got;
            while ((got = on.rings.take(frame)) == nic::received::frame ||
                   got == nic::received::dropped) {
                if (got == nic::received::frame) {
                    (void)text_of(*frame);
                }
            }
            net::packet_queue sent;
            if (!on.rings.reap(sent) || got == nic::received::broken) {
                sent.clear();
                on.rings.clear();
            }
        }
    }
}

}  // namespace
}  // namespace kiln::xen
