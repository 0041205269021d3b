// Two network cards joined by a wire in memory, for tests of the stack: frames can be looked at, lost,
// held back, turned round or doubled by a function of the test's. Nothing moves but by pump(), and
// time stands still but for the test's own steps, so every run is the same.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "core/clock.hh"
#include "net/socket.hh"
#include "net/stack.hh"
#include "tests/host/host.hh"

namespace kiln::net::test {

class wire_card final : public net_device {
public:
    wire_card(u8 number, u32 features) : _features(features) {
        _mac = {{0x52, 0x54, 0, 0, 0, number}};
    }
    mac_address mac() const override { return _mac; }
    u32 mtu() const override { return mtu_bytes; }
    u32 features() const override { return _features; }
    bool link_up() const override { return true; }
    device_counters counters() const override { return {}; }
    void transmit(packet_ptr frame, bool) override;
    void start(net_receiver& receiver) override { _receiver = &receiver; }

    // What the other side's card gets, flat; segmentation is done here, as a device would.
    std::deque<std::vector<u8>> sent;
    net_receiver* receiver() { return _receiver; }
    // Hands a frame to the stack, in chunks of a receive ring.
    void receive(const std::vector<u8>& frame);
    u32 mtu_bytes = 1500;
    u64 large_sends = 0;

private:
    mac_address _mac;
    u32 _features;
    net_receiver* _receiver = nullptr;
};

// Stops the clock. A base of each fixture, because the machines, which are its members, set timers as
// they are made: with a clock that runs, it would depend on the host's when these fire.
struct still_clock {
    still_clock() { host::set_time(1000 * ns_per_s); }
};

// One machine of the test.
struct machine {
    machine(u8 number, ip_prefix address, u32 features = 0);
    wire_card card;
    network_stack stack;
    interface* eth = nullptr;
};

// What becomes of a frame: by default it arrives once.
enum class fate { deliver, drop, duplicate, delay };

class wire {
public:
    wire(machine& left, machine& right) : _left(left), _right(right) {}

    // Decides for each frame; `to_right` tells the way it goes.
    std::function<fate(bool to_right, std::vector<u8>& frame)> decide;
    // Moves frames until there are no more. Returns how many were moved.
    usize pump();
    // pump, and then time goes on by `duration`, from timer to timer.
    void run(u64 duration);
    // Until the condition holds; false when it does not within `limit` of the test's time.
    bool run_until(const std::function<bool()>& condition, u64 limit = 60 * ns_per_s);

    usize frames_right = 0;
    usize frames_left = 0;

private:
    bool move(wire_card& from, wire_card& to, bool to_right);

    machine& _left;
    machine& _right;
    std::vector<std::pair<bool, std::vector<u8>>> _delayed;
};

ip_prefix prefix(std::string_view text);
socket_address to_sockaddr(std::string_view address, u16 port);

// Calls on sockets without the program's memory.
result<usize> send_bytes(socket& to, std::string_view bytes, u32 flags = message_flag::dont_wait);
std::string receive_bytes(socket& from, usize most = 65536, u32 flags = message_flag::dont_wait);
result<usize> try_receive(socket& from, std::string& to, usize most, u32 flags);

}  // namespace kiln::net::test
