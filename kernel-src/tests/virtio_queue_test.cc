// The driver's side of a virtqueue against a device simulated in the test.
#include "drivers/virtio/queue.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>
#include <vector>

namespace kiln::virtio {
namespace {

// What a device does with the rings, and the wishes it writes into them.
class simulated_device {
public:
    explicit simulated_device(queue& of)
        : _size(of.size()),
          _descriptors(static_cast<const descriptor*>(of.descriptors())),
          _available(static_cast<const available_ring*>(of.driver_area())),
          _used(static_cast<used_ring*>(const_cast<void*>(of.device_area()))) {}

    struct request {
        u16 head;
        std::vector<segment> segments;
    };

    bool has_request() const { return _next != _available->index; }
    request take() {
        request taken{_available->ring[_next++ % _size], {}};
        for (u16 at = taken.head;; at = _descriptors[at].next) {
            EXPECT_LT(at, _size);
            const descriptor& part = _descriptors[at];
            taken.segments.push_back(
                {part.address, part.length, (part.flags & descriptor_flag::device_writes) != 0});
            if ((part.flags & descriptor_flag::next) == 0 || taken.segments.size() > _size) {
                return taken;
            }
        }
    }
    void finish(u32 id, u32 length) {
        _used->ring[_used->index % _size] = {id, length};
        ++_used->index;
    }
    void want_notification_after(u16 index) {
        std::memcpy(&_used->ring[_size], &index, sizeof(index));
    }
    void refuse_notifications() { _used->flags = used_no_notify; }
    u16 used_event() const { return _available->ring[_size]; }
    u16 available_flags() const { return _available->flags; }
    u16 seen() const { return _next; }

private:
    u16 _size;
    const descriptor* _descriptors;
    const available_ring* _available;
    used_ring* _used;
    u16 _next = 0;
};

class queue_fixture {
public:
    explicit queue_fixture(u16 size, bool event_index, bool legacy = false) {
        const auto form = legacy ? queue::form::legacy : queue::form::split;
        const usize needed = queue::memory_needed(size, form);
        memory =
            static_cast<std::byte*>(std::aligned_alloc(page_size, align_up(needed, page_size)));
        std::memset(memory, 0, align_up(needed, page_size));
        driver.init(size, memory, form, event_index);
    }
    ~queue_fixture() { std::free(memory); }

    std::byte* memory;
    queue driver;
};

int token_a, token_b;

TEST(virtio_queue, a_request_reaches_the_device_and_comes_back) {
    queue_fixture fixture(8, false);
    simulated_device device(fixture.driver);
    const segment parts[] = {{0x1000, 16, false}, {0x2000, 512, true}, {0x3000, 1, true}};
    ASSERT_TRUE(fixture.driver.add(parts, &token_a).ok());
    EXPECT_FALSE(device.has_request()) << "visible before it was published";
    EXPECT_TRUE(fixture.driver.publish());
    ASSERT_TRUE(device.has_request());
    const auto request = device.take();
    ASSERT_EQ(request.segments.size(), 3u);
    EXPECT_EQ(request.segments[1].address, 0x2000u);
    EXPECT_EQ(request.segments[1].length, 512u);
    EXPECT_FALSE(request.segments[0].device_writes);
    EXPECT_TRUE(request.segments[2].device_writes);
    EXPECT_EQ(fixture.driver.free_descriptors(), 5);
    device.finish(request.head, 513);
    queue::completion done{};
    ASSERT_TRUE(fixture.driver.take(done));
    EXPECT_EQ(done.token, &token_a);
    EXPECT_EQ(done.length, 513u);
    EXPECT_EQ(fixture.driver.free_descriptors(), 8);
    EXPECT_FALSE(fixture.driver.take(done));
}

TEST(virtio_queue, a_full_ring_refuses_and_stays_whole) {
    queue_fixture fixture(4, false);
    const segment one[] = {{0x1000, 1, false}};
    const segment two[] = {{0x1000, 1, false}, {0x2000, 1, true}};
    ASSERT_TRUE(fixture.driver.add(two, &token_a).ok());
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    EXPECT_EQ(fixture.driver.add(two, &token_a).error(), err::nospc);
    EXPECT_TRUE(fixture.driver.add(one, &token_a).ok());
    EXPECT_EQ(fixture.driver.add(one, &token_a).error(), err::nospc);
    EXPECT_EQ(fixture.driver.in_flight(), 4);
}

TEST(virtio_queue, requests_may_finish_in_any_order_for_ever) {
    for (const bool event_index : {false, true}) {
        queue_fixture fixture(16, event_index);
        simulated_device device(fixture.driver);
        std::mt19937 random(7);
        std::vector<int> tokens(200'000);
        std::vector<simulated_device::request> held;
        std::deque<usize> outstanding;
        usize next = 0, finished = 0;
        std::vector<bool> back(tokens.size());
        while (finished < tokens.size()) {
            std::vector<segment> parts(1 + random() % 5, segment{0x1000, 8, false});
            if (next < tokens.size() && fixture.driver.add(parts, &tokens[next]).ok()) {
                ++next;
            }
            fixture.driver.publish();
            while (device.has_request()) {
                held.push_back(device.take());
            }
            if (!held.empty() && random() % 2 == 0) {
                const usize which = random() % held.size();
                device.finish(held[which].head, 1);
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
        }
        EXPECT_EQ(fixture.driver.free_descriptors(), 16);
    }
}

TEST(virtio_queue, an_id_that_was_never_given_ends_the_queue) {
    for (const u32 id : {3u, 8u, 0xffff'ffffu}) {
        queue_fixture fixture(8, false);
        simulated_device device(fixture.driver);
        const segment one[] = {{0x1000, 1, false}};
        ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
        fixture.driver.publish();
        device.finish(id, 1);
        queue::completion done{};
        EXPECT_FALSE(fixture.driver.take(done));
        EXPECT_TRUE(fixture.driver.broken());
        EXPECT_FALSE(fixture.driver.has_finished());
        EXPECT_EQ(fixture.driver.add(one, &token_b).error(), err::nospc);
    }
}

TEST(virtio_queue, a_request_that_comes_back_twice_ends_the_queue) {
    queue_fixture fixture(8, false);
    simulated_device device(fixture.driver);
    const segment one[] = {{0x1000, 1, false}};
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    fixture.driver.publish();
    const auto request = device.take();
    device.finish(request.head, 0);
    device.finish(request.head, 0);
    queue::completion done{};
    EXPECT_TRUE(fixture.driver.take(done));
    EXPECT_FALSE(fixture.driver.take(done));
    EXPECT_TRUE(fixture.driver.broken());
}

TEST(virtio_queue, notifies_by_the_flag) {
    queue_fixture fixture(8, false);
    simulated_device device(fixture.driver);
    const segment one[] = {{0x1000, 1, false}};
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    EXPECT_TRUE(fixture.driver.publish());
    EXPECT_FALSE(fixture.driver.publish()) << "nothing new";
    device.refuse_notifications();
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    EXPECT_FALSE(fixture.driver.publish());
    EXPECT_TRUE(device.has_request());
}

TEST(virtio_queue, notifies_by_the_event_index) {
    queue_fixture fixture(8, true);
    simulated_device device(fixture.driver);
    const segment one[] = {{0x1000, 1, false}};
    device.want_notification_after(1);
    ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    EXPECT_FALSE(fixture.driver.publish()) << "the device waits for the second";
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    EXPECT_TRUE(fixture.driver.publish());
    ASSERT_TRUE(fixture.driver.add(one, &token_b).ok());
    EXPECT_FALSE(fixture.driver.publish());
}

TEST(virtio_queue, a_batch_that_passes_the_event_index_notifies_once) {
    queue_fixture fixture(8, true);
    simulated_device device(fixture.driver);
    const segment one[] = {{0x1000, 1, false}};
    device.want_notification_after(2);
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(fixture.driver.add(one, &token_a).ok());
    }
    EXPECT_TRUE(fixture.driver.publish());
}

TEST(virtio_queue, interrupts_are_asked_for_and_refused) {
    const segment one[] = {{0x1000, 1, false}};
    queue_fixture plain(8, false);
    simulated_device plain_device(plain.driver);
    plain.driver.disable_interrupts();
    EXPECT_EQ(plain_device.available_flags(), available_no_interrupt);
    EXPECT_FALSE(plain.driver.enable_interrupts());
    EXPECT_EQ(plain_device.available_flags(), 0);

    queue_fixture indexed(8, true);
    simulated_device device(indexed.driver);
    ASSERT_TRUE(indexed.driver.add(one, &token_a).ok());
    indexed.driver.publish();
    EXPECT_FALSE(indexed.driver.enable_interrupts());
    EXPECT_EQ(device.used_event(), 0);
    device.finish(device.take().head, 0);
    EXPECT_TRUE(indexed.driver.enable_interrupts()) << "one is finished already";
    queue::completion done{};
    EXPECT_TRUE(indexed.driver.take(done));
    EXPECT_EQ(device.used_event(), 1) << "the next one is to interrupt";
    indexed.driver.disable_interrupts();
    EXPECT_EQ(device.used_event(), 0) << "an index that is behind";
}

TEST(virtio_queue, the_legacy_layout_has_the_used_ring_on_its_own_page) {
    queue_fixture fixture(256, false, true);
    const auto* start = static_cast<const std::byte*>(fixture.driver.descriptors());
    EXPECT_EQ(static_cast<const std::byte*>(fixture.driver.driver_area()) - start, 4096);
    EXPECT_EQ(static_cast<const std::byte*>(fixture.driver.device_area()) - start, 8192);
    EXPECT_GE(queue::memory_needed(256, queue::form::legacy), 8192u + 6 + 8 * 256);
}

}  // namespace
}  // namespace kiln::virtio
