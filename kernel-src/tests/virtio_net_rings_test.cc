// virtio-net's rings against a device simulated in the test, good and bad.
#include "drivers/virtio/net_rings.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace kiln::virtio {
namespace {

using net::packet_buffer;
using net::packet_ptr;

// A device's side of one queue, with the memory that the queue lies in.
class simulated_queue {
public:
    simulated_queue(queue& of, u16 size) : _size(size) {
        const usize needed = align_up(queue::memory_needed(size, queue::form::split), page_size);
        _memory = static_cast<std::byte*>(std::aligned_alloc(page_size, needed));
        std::memset(_memory, 0, needed);
        of.init(size, _memory, queue::form::split, false);
        _descriptors = static_cast<const descriptor*>(of.descriptors());
        _available = static_cast<const available_ring*>(of.driver_area());
        _used = static_cast<used_ring*>(const_cast<void*>(of.device_area()));
    }
    ~simulated_queue() { std::free(_memory); }

    bool has_request() const { return _next != _available->index; }
    u16 take() { return _available->ring[_next++ % _size]; }
    void finish(u32 id, u32 length) {
        _used->ring[_used->index % _size] = {id, length};
        ++_used->index;
    }
    void restart() { _next = 0; }
    void scribble(std::mt19937& random) {
        auto* bytes = reinterpret_cast<u8*>(_used);
        bytes[random() % (sizeof(used_ring) + _size * sizeof(used_element))] =
            static_cast<u8>(random());
    }

    // The bytes of a request, as the device reads them; and back.
    std::string read(u16 head) const {
        std::string bytes;
        for (u16 at = head;; at = _descriptors[at].next) {
            bytes.append(reinterpret_cast<const char*>(_descriptors[at].address),
                         _descriptors[at].length);
            if ((_descriptors[at].flags & descriptor_flag::next) == 0) {
                return bytes;
            }
        }
    }
    void write(u16 head, const std::string& bytes) {
        usize done = 0;
        for (u16 at = head; done < bytes.size(); at = _descriptors[at].next) {
            const usize part = std::min<usize>(bytes.size() - done, _descriptors[at].length);
            std::memcpy(reinterpret_cast<void*>(_descriptors[at].address), &bytes[done], part);
            done += part;
        }
        finish(head, static_cast<u32>(bytes.size()));
    }

private:
    u16 _size;
    std::byte* _memory;
    const descriptor* _descriptors;
    const available_ring* _available;
    used_ring* _used;
    u16 _next = 0;
};

struct rig {
    explicit rig(u16 size = 32, usize header = sizeof(net_header))
        : receive(driver.receive_queue(), size), transmit(driver.transmit_queue(), size) {
        driver.set_doorbells(doorbell::at_memory(&bell, 0), doorbell::at_memory(&bell, 1));
        EXPECT_TRUE(driver.open(header).ok());
    }
    ~rig() { driver.clear(); }

    void deliver(const std::string& frame, u16 buffers = 1) {
        ASSERT_TRUE(receive.has_request());
        net_header header{};
        header.buffers = buffers;
        receive.write(receive.take(),
                      std::string(reinterpret_cast<char*>(&header), sizeof(header)) + frame);
    }

    volatile u16 bell = 0xffff;
    net_rings driver;
    simulated_queue receive, transmit;
};

std::string text_of(const packet_buffer& frame) {
    std::string text(frame.size(), '\0');
    frame.copy_out(0, text.data(), text.size());
    return text;
}

nic::placed send(rig& on, usize size, char fill) {
    packet_ptr frame = packet_buffer::make().take();
    std::memset(frame->push(size), fill, size);
    const auto where = on.driver.put(*frame);
    if (where == nic::placed::on_ring) {
        frame.leak();
    }
    return where;
}

TEST(virtio_net_rings, frames_arrive_in_order_for_ever) {
    for (const usize header : {sizeof(net_header), short_net_header}) {
        rig on(32, header);
        packet_ptr frame;
        for (u32 next = 0; next < 1000; ++next) {
            ASSERT_TRUE(on.driver.refill());
            ASSERT_TRUE(on.receive.has_request());
            on.receive.write(on.receive.take(),
                             std::string(header, '\0') + std::to_string(next));
            ASSERT_EQ(on.driver.take(frame), nic::received::frame);
            EXPECT_EQ(text_of(*frame), std::to_string(next));
            EXPECT_EQ(on.driver.take(frame), nic::received::none);
        }
    }
}

TEST(virtio_net_rings, a_frame_of_several_buffers_is_put_together) {
    rig on;
    ASSERT_TRUE(on.driver.refill());
    on.deliver(std::string(1000, 'a'), 3);
    on.receive.write(on.receive.take(), std::string(1500, 'b'));
    on.receive.write(on.receive.take(), std::string(7, 'c'));
    packet_ptr frame;
    ASSERT_EQ(on.driver.take(frame), nic::received::frame);
    EXPECT_EQ(text_of(*frame),
              std::string(1000, 'a') + std::string(1500, 'b') + std::string(7, 'c'));
    EXPECT_EQ(on.driver.take(frame), nic::received::none);
}

TEST(virtio_net_rings, a_frame_without_its_end_is_dropped) {
    rig on;
    ASSERT_TRUE(on.driver.refill());
    on.deliver("first", 3);
    packet_ptr frame;
    EXPECT_EQ(on.driver.take(frame), nic::received::dropped);
    on.receive.finish(on.receive.take(), 3);  // shorter than its header
    EXPECT_EQ(on.driver.take(frame), nic::received::dropped);
    on.deliver("next");
    ASSERT_EQ(on.driver.take(frame), nic::received::frame);
    EXPECT_EQ(text_of(*frame), "next");
}

TEST(virtio_net_rings, more_bytes_than_a_buffer_has_end_the_ring) {
    rig on;
    ASSERT_TRUE(on.driver.refill());
    on.receive.finish(on.receive.take(), 1985);
    packet_ptr frame;
    EXPECT_EQ(on.driver.take(frame), nic::received::broken);
}

TEST(virtio_net_rings, a_buffer_that_it_does_not_have_ends_the_ring) {
    rig on;
    ASSERT_TRUE(on.driver.refill());
    on.receive.finish(32, 100);
    packet_ptr frame;
    EXPECT_EQ(on.driver.take(frame), nic::received::broken);
    ASSERT_EQ(send(on, 60, 'a'), nic::placed::on_ring);
    on.transmit.finish(5, 0);
    net::packet_queue sent;
    EXPECT_FALSE(on.driver.reap(sent));
    EXPECT_TRUE(sent.empty());
}

TEST(virtio_net_rings, frames_are_sent_behind_a_header) {
    rig on;
    ASSERT_EQ(send(on, 60, 'a'), nic::placed::on_ring);
    EXPECT_FALSE(on.transmit.has_request());
    on.driver.tell_device();
    EXPECT_EQ(on.bell, 1);
    const u16 head = on.transmit.take();
    EXPECT_EQ(on.transmit.read(head), std::string(sizeof(net_header), '\0') + std::string(60, 'a'));
    on.transmit.finish(head, 0);
    EXPECT_TRUE(on.driver.has_sent());
    net::packet_queue sent;
    EXPECT_TRUE(on.driver.reap(sent));
    EXPECT_EQ(sent.count(), 1u);
}

TEST(virtio_net_rings, a_frame_of_more_pieces_than_the_ring_is_refused) {
    rig on(2);
    ASSERT_EQ(send(on, 60, 'a'), nic::placed::on_ring);
    EXPECT_EQ(send(on, 60, 'a'), nic::placed::no_room);
    on.driver.tell_device();
    on.transmit.finish(on.transmit.take(), 0);
    net::packet_queue sent;
    EXPECT_TRUE(on.driver.reap(sent));
    packet_ptr frame = packet_buffer::make().take();
    frame->push(60);
    auto part = net::chunk::allocate(net::chunk_size::small).take();
    std::byte* bytes = part->data();
    EXPECT_TRUE(frame->append(std::move(part), bytes, 10));
    EXPECT_EQ(on.driver.put(*frame), nic::placed::refused);
}

TEST(virtio_net_rings, after_a_reset_all_begins_anew) {
    rig on;
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(on.driver.refill());
        on.deliver("frame");
        ASSERT_EQ(send(on, 60, 'a'), nic::placed::on_ring);
        on.driver.tell_device();
        on.transmit.finish(99, 0);
        net::packet_queue sent;
        EXPECT_FALSE(on.driver.reap(sent));
        on.driver.clear();
        on.receive.restart();
        on.transmit.restart();
        packet_ptr frame;
        EXPECT_EQ(on.driver.take(frame), nic::received::none);
        EXPECT_TRUE(on.driver.reap(sent));
    }
}

// Whatever a device writes into the rings: no buffer is freed twice or read beyond its end, which
// the sanitizers see.
TEST(virtio_net_rings, a_device_that_writes_anything_corrupts_nothing) {
    for (u32 seed = 0; seed < 100; ++seed) {
        rig on;
        std::mt19937 random(seed);
        for (int step = 0; step < 200; ++step) {
            (void)on.driver.refill();
            if (on.receive.has_request() && random() % 2 == 0) {
                on.receive.finish(on.receive.take(), static_cast<u32>(random() % 2100));
            }
            if (random() % 8 == 0) {
                on.receive.scribble(random);
                on.transmit.scribble(random);
            }
            packet_ptr frame;
            if (on.driver.take(frame) == nic::received::frame) {
                (void)text_of(*frame);
            }
            (void)send(on, 60, 'z');
            on.driver.tell_device();
            net::packet_queue sent;
            (void)on.driver.reap(sent);
        }
    }
}

}  // namespace
}  // namespace kiln::virtio
