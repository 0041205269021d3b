// The driver's side of a packed virtqueue against a device simulated in the test, and against one that
// means harm.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "core/page.hh"
#include "drivers/virtio/queue.hh"

namespace kiln::virtio {
namespace {

class packed_fixture {
public:
    explicit packed_fixture(u16 size, bool event_index) : _size(size) {
        const usize needed = align_up(queue::memory_needed(size, queue::form::packed), page_size);
        _memory = static_cast<std::byte*>(std::aligned_alloc(page_size, needed));
        std::memset(_memory, 0, needed);
        driver.init(size, _memory, queue::form::packed, event_index);
    }
    ~packed_fixture() { std::free(_memory); }

    struct request {
        u16 number;
        std::vector<segment> segments;
    };

    packed_descriptor* ring() {
        return static_cast<packed_descriptor*>(const_cast<void*>(driver.descriptors()));
    }
    packed_events& driver_events() {
        return *static_cast<packed_events*>(const_cast<void*>(driver.driver_area()));
    }
    packed_events& device_events() {
        return *static_cast<packed_events*>(const_cast<void*>(driver.device_area()));
    }
    bool has_request() {
        const u16 flags = ring()[_next].flags;
        return ((flags & packed_flag::available) != 0) == _next_round &&
               ((flags & packed_flag::used) != 0) != _next_round;
    }
    request take() {
        request taken{};
        for (bool more = true; more;) {
            const packed_descriptor& part = ring()[_next];
            taken.number = part.number;
            taken.segments.push_back(
                {part.address, part.length, (part.flags & descriptor_flag::device_writes) != 0});
            more = (part.flags & descriptor_flag::next) != 0;
            advance(_next, _next_round, 1);
        }
        return taken;
    }
    void finish(u16 number, usize descriptors, u32 length) {
        packed_descriptor& to = ring()[_done];
        to.number = number;
        to.length = length;
        to.flags = _done_round ? packed_flag::available | packed_flag::used : 0;
        advance(_done, _done_round, descriptors);
    }
    void finish(const request& what, u32 length) {
        finish(what.number, what.segments.size(), length);
    }
    u16 place_of_next() const {
        return static_cast<u16>(_next | (_next_round ? packed_event::odd_round : 0));
    }

    queue driver;

private:
    void advance(u16& index, bool& round, usize by) {
        const usize sum = index + by;
        round = sum < _size ? round : !round;
        index = static_cast<u16>(sum % _size);
    }

    std::byte* _memory;
    u16 _size;
    u16 _next = 0, _done = 0;
    bool _next_round = true, _done_round = true;
};

int token_a, token_b;
const segment one[] = {{0x1000, 8, false}};
const segment three[] = {{0x1000, 16, false}, {0x2000, 512, true}, {0x3000, 1, true}};

TEST(virtio_packed_ring, a_request_reaches_the_device_and_comes_back) {
    packed_fixture fixture(8, false);
    ASSERT_TRUE(fixture.driver.add(three, &token_a).ok());
    EXPECT_FALSE(fixture.has_request()) << "visible before it was published";
    EXPECT_TRUE(fixture.driver.publish());
    ASSERT_TRUE(fixture.has_request());
    const auto request = fixture.take();
    EXPECT_FALSE(fixture.has_request());
    ASSERT_EQ(request.segments.size(), 3u);
    EXPECT_EQ(request.segments[1].address, 0x2000u);
    EXPECT_EQ(request.segments[1].length, 512u);
    EXPECT_FALSE(request.segments[0].device_writes);
    EXPECT_TRUE(request.segments[2].device_writes);
    EXPECT_EQ(fixture.driver.free_descriptors(), 5);
    EXPECT_EQ(fixture.driver.in_flight(), 3);
    fixture.finish(request, 513);
    queue::completion done{};
    ASSERT_TRUE(fixture.driver.take(done));
    EXPECT_EQ(done.token, &token_a);
    EXPECT_EQ(done.length, 513u);
    EXPECT_EQ(fixture.driver.free_descriptors(), 8);
    EXPECT_FALSE(fixture.driver.take(done));
    EXPECT_FALSE(fixture.driver.publish()) << "nothing was added";
}

TEST(virtio_packed_ring, a_full_ring_refuses_and_stays_whole) {
    packed_fixture fixture(4, false);
    ASSERT_TRUE(fixture.driver.add(three, &token_a).ok());
    EXPECT_EQ(fixture.driver.add(three, &token_b).error(), err::nospc);
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    EXPECT_EQ(fixture.driver.add(one, &token_b).error(), err::nospc);
    fixture.driver.publish();
    EXPECT_EQ(fixture.take().segments.size(), 3u);
    EXPECT_EQ(fixture.take().segments.size(), 1u);
    EXPECT_FALSE(fixture.has_request());
}

TEST(virtio_packed_ring, requests_may_finish_in_any_order_for_ever) {
    for (const bool event_index : {false, true}) {
        packed_fixture fixture(16, event_index);
        std::mt19937 random(7);
        std::vector<int> tokens(100'000);
        std::vector<packed_fixture::request> held;
        std::vector<bool> back(tokens.size());
        usize next = 0, finished = 0;
        while (finished < tokens.size()) {
            const std::vector<segment> parts(1 + random() % 5, segment{0x1000, 8, false});
            if (next < tokens.size() && fixture.driver.add(parts, &tokens[next]).ok()) {
                ++next;
            }
            if (random() % 3 != 0) {
                fixture.driver.publish();
            }
            while (fixture.has_request()) {
                held.push_back(fixture.take());
            }
            if (!held.empty() && random() % 2 == 0) {
                const usize which = random() % held.size();
                fixture.finish(held[which], 1);
                held.erase(held.begin() + static_cast<isize>(which));
            }
            queue::completion done{};
            while (fixture.driver.take(done)) {
                const usize index =
                    static_cast<usize>(static_cast<int*>(done.token) - tokens.data());
                ASSERT_LT(index, next);
                ASSERT_FALSE(back[index]) << "finished twice: " << index;
                back[index] = true;
                ++finished;
            }
            ASSERT_FALSE(fixture.driver.broken());
        }
        EXPECT_EQ(fixture.driver.free_descriptors(), 16);
    }
}

TEST(virtio_packed_ring, the_device_says_when_it_is_notified) {
    packed_fixture fixture(8, true);
    fixture.device_events().flags = packed_event::never;
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    EXPECT_FALSE(fixture.driver.publish());
    fixture.device_events() = {static_cast<u16>(1 | packed_event::odd_round),
                               packed_event::at_place};
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    EXPECT_TRUE(fixture.driver.publish()) << "it waits for the second";
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    EXPECT_FALSE(fixture.driver.publish()) << "that was before";
    fixture.device_events() = {0, packed_event::at_place};  // the first of the next round
    ASSERT_TRUE(fixture.driver.add(three, &token_a).ok());
    EXPECT_FALSE(fixture.driver.publish());
    fixture.take(), fixture.take(), fixture.take();
    fixture.finish(0, 1, 0), fixture.finish(1, 1, 0), fixture.finish(2, 1, 0);
    queue::completion done{};
    while (fixture.driver.take(done)) {
    }
    ASSERT_TRUE(fixture.driver.add(three, &token_b).ok());
    EXPECT_TRUE(fixture.driver.publish()) << "the round has turned";
}

TEST(virtio_packed_ring, interrupts_are_asked_for_at_the_next_answer) {
    packed_fixture fixture(4, true);
    EXPECT_FALSE(fixture.driver.enable_interrupts());
    EXPECT_EQ(fixture.driver_events().flags, packed_event::at_place);
    EXPECT_EQ(fixture.driver_events().place, packed_event::odd_round);
    ASSERT_TRUE(fixture.driver.add(three, &token_a).ok());
    fixture.driver.publish();
    fixture.finish(fixture.take(), 1);
    EXPECT_TRUE(fixture.driver.enable_interrupts()) << "one has come already";
    queue::completion done{};
    ASSERT_TRUE(fixture.driver.take(done));
    EXPECT_EQ(fixture.driver_events().place, packed_event::odd_round | 3);
    fixture.driver.disable_interrupts();
    EXPECT_EQ(fixture.driver_events().flags, packed_event::never);
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    fixture.driver.publish();
    fixture.finish(fixture.take(), 1);
    ASSERT_TRUE(fixture.driver.take(done));
    EXPECT_FALSE(fixture.driver.enable_interrupts());
    EXPECT_EQ(fixture.driver_events().place, 0) << "the first of an even round";
}

TEST(virtio_packed_ring, without_the_event_index_interrupts_are_on_or_off) {
    packed_fixture fixture(4, false);
    (void)fixture.driver.enable_interrupts();
    EXPECT_EQ(fixture.driver_events().flags, packed_event::always);
    fixture.driver.disable_interrupts();
    EXPECT_EQ(fixture.driver_events().flags, packed_event::never);
}

TEST(virtio_packed_ring, after_a_reset_all_tokens_come_back_and_it_is_empty) {
    packed_fixture fixture(8, true);
    ASSERT_TRUE(fixture.driver.add(three, &token_a).ok());
    fixture.driver.publish();
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    std::vector<void*> back;
    while (void* token = fixture.driver.take_back()) {
        back.push_back(token);
    }
    EXPECT_EQ(back.size(), 2u);
    fixture.driver.restart();
    EXPECT_EQ(fixture.driver.free_descriptors(), 8);
    EXPECT_FALSE(fixture.has_request());
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    fixture.driver.publish();
    EXPECT_TRUE(fixture.has_request());
}

// ---- devices that mean harm ----

class packed_harm : public ::testing::Test {
protected:
    packed_harm() {
        EXPECT_TRUE(fixture.driver.add(three, &token_a).ok());
        fixture.driver.publish();
        (void)fixture.take();
    }
    void expect_broken() {
        queue::completion done{};
        EXPECT_FALSE(fixture.driver.take(done));
        EXPECT_TRUE(fixture.driver.broken());
        EXPECT_FALSE(fixture.driver.has_finished());
        EXPECT_EQ(fixture.driver.add(one, &token_b).error(), err::nospc);
    }
    packed_fixture fixture{8, true};
};

TEST_F(packed_harm, a_number_beyond_the_ring) {
    fixture.finish(8, 3, 0);
    expect_broken();
}

TEST_F(packed_harm, the_largest_number) {
    fixture.finish(0xffff, 3, 0);
    expect_broken();
}

TEST_F(packed_harm, a_number_that_is_not_under_way) {
    fixture.finish(1, 3, 0);
    expect_broken();
}

TEST_F(packed_harm, the_same_number_twice) {
    fixture.finish(0, 3, 0);
    queue::completion done{};
    ASSERT_TRUE(fixture.driver.take(done));
    EXPECT_EQ(fixture.driver.free_descriptors(), 8);
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    fixture.driver.publish();
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    fixture.driver.publish();
    fixture.finish(0, 1, 0);
    fixture.finish(0, 1, 0);
    ASSERT_TRUE(fixture.driver.take(done));
    expect_broken();
}

TEST_F(packed_harm, what_was_never_shown_to_it_is_not_finished) {
    fixture.finish(0, 3, 0);
    queue::completion done{};
    ASSERT_TRUE(fixture.driver.take(done));
    ASSERT_TRUE(fixture.driver.add(three, &token_b).ok());
    fixture.finish(0, 3, 0);
    EXPECT_FALSE(fixture.driver.take(done));
    EXPECT_FALSE(fixture.driver.has_finished());
}

TEST(virtio_packed_ring, random_writes_by_the_device_end_it_at_worst) {
    std::mt19937 random(11);
    for (int attempt = 0; attempt < 300; ++attempt) {
        packed_fixture fixture(8, attempt % 2 == 0);
        int in_flight = 0;
        for (int step = 0; step < 400; ++step) {
            if (fixture.driver.add(random() % 2 == 0 ? std::span<const segment>(one)
                                                     : std::span<const segment>(three),
                                   &token_a)
                    .ok()) {
                ++in_flight;
            }
            fixture.driver.publish();
            packed_descriptor& hit = fixture.ring()[random() % 8];
            hit.number = static_cast<u16>(random() % 2 == 0 ? random() % 8 : random());
            hit.length = static_cast<u32>(random());
            hit.flags = static_cast<u16>(random());
            fixture.device_events() = {static_cast<u16>(random()), static_cast<u16>(random())};
            queue::completion done{};
            while (fixture.driver.take(done)) {
                ASSERT_EQ(done.token, &token_a);
                --in_flight;
            }
            ASSERT_GE(in_flight, 0);
            ASSERT_LE(fixture.driver.free_descriptors(), 8);
            fixture.driver.disable_interrupts();
            (void)fixture.driver.enable_interrupts();
        }
    }
}

}  // namespace
}  // namespace kiln::virtio
