// The driver on the model of the card, with the tests in the place of the stack and of the threads.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/clock.hh"
#include "drivers/ena/network.hh"
#include "tests/ena/card.hh"
#include "tests/host/host.hh"

namespace kiln::ena::model {

inline std::string text_of(const net::packet_buffer& frame) {
    std::string text(frame.size(), '\0');
    frame.copy_out(0, text.data(), text.size());
    return text;
}

class stack final : public net::net_receiver {
public:
    void deliver(net::packet_ptr frame) override {
        valid.push_back(frame->checksum_valid);
        frames.push_back(text_of(*frame));
    }
    void batch_end() override {}
    void link_changed(bool) override {}
    std::vector<std::string> frames;
    std::vector<bool> valid;
};

class rig : public ::testing::Test {
protected:
    ~rig() override {
        for (u32 i = 0; i < driver.pairs(); ++i) {
            driver.rings(i).clear();
        }
        host::use_real_time();
    }

    result<void> open() {
        TRY(driver.open());
        for (u32 i = 0; i < driver.pairs(); ++i) {
            driver.service(i).deliver_to(received);
        }
        turn();
        return {};
    }
    // Each queue's thread, until it would sleep; false when one has ended. A reset wakes all.
    bool turn() {
        for (u32 resets = ~0u; resets != device.resets;) {
            resets = device.resets;
            for (u32 i = 0; i < driver.pairs(); ++i) {
                if (!turn(i)) {
                    return false;
                }
            }
        }
        return true;
    }
    bool turn(u32 number) {
        using end = nic::queue_pair::turn_end;
        end last = end::worked;
        for (u32 most = 10'000; last == end::worked && most != 0; --most) {
            last = driver.service(number).turn();
        }
        EXPECT_NE(last, end::worked) << "no end of work";
        driver.rings(number).allow_interrupts(false);
        return last == end::idle;
    }
    void pass(u64 time) { host::advance_time(time); }
    u64 sent_dropped() { return driver.counters().sent_dropped; }

    // A frame of TCP over IPv4 that `port` tells from others.
    static std::string tcp_frame(u32 port, usize size = 100) {
        std::string frame(size, static_cast<char>('a' + port % 26));
        const unsigned char head[] = {2, 0x0a, 0x0b, 1, 2, 3, 2, 1, 1, 1, 1, 1, 8, 0,
                                      0x45, 0, 0, 86, 0, 1, 0x40, 0, 64, 6, 0, 0,
                                      10, 0, 0, 1, 10, 0, 0, 2};
        frame.replace(0, sizeof(head), reinterpret_cast<const char*>(head), sizeof(head));
        frame[34] = static_cast<char>(port >> 8);
        frame[35] = static_cast<char>(port);
        frame[36] = 0x18;
        frame[37] = static_cast<char>(0xeb);
        return frame;
    }
    // The same as a packet to send, in `pieces` of which the first has the headers.
    static net::packet_ptr packet_of(const std::string& bytes, usize pieces = 1) {
        auto made = net::packet_buffer::make().take();
        const usize head = pieces == 1 && bytes.size() <= 144 ? bytes.size() : 54;
        std::copy_n(bytes.data(), head, reinterpret_cast<char*>(made->push(head)));
        const usize step = (bytes.size() - head + pieces) / std::max<usize>(pieces - 1, 1);
        for (usize done = head; done < bytes.size(); done += step) {
            auto part = net::chunk::allocate(net::chunk_size::large).take();
            std::byte* to = part->data();
            const usize length = std::min(step, bytes.size() - done);
            std::copy_n(bytes.data() + done, length, reinterpret_cast<char*>(to));
            EXPECT_TRUE(made->append(std::move(part), to, length));
        }
        return made;
    }
    void send(u32 number, net::packet_ptr frame, bool more = false) {
        driver.service(number).transmit(std::move(frame), more);
    }

    card device;
    stack received;
    network driver{device};
};

}  // namespace kiln::ena::model
