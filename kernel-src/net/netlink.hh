// AF_NETLINK sockets of the family NETLINK_ROUTE (rtnetlink(7)): the dumps of links, addresses and
// routes that C libraries ask for. Nothing can be changed by them, and there are no notifications.
// Lock: _lock (spin) guards the answers that wait. Context: threads.
#pragma once

#include "core/spinlock.hh"
#include "net/socket.hh"

namespace kiln::net {

class network_stack;
class netlink_writer;

class netlink_socket final : public socket {
public:
    netlink_socket(network_stack& stack, u16 type);
    ~netlink_socket() override;

    result<void> bind(const socket_address& address) override;
    result<void> connect(const socket_address& address, bool nonblocking) override;
    result<usize> send(socket_message& message, u32 flags) override;
    result<usize> receive(socket_message& message, u32 flags) override;
    result<void> local_address(socket_address& to) override;
    result<void> peer_address(socket_address& to) override;
    result<void> set_option(i32 level, i32 name, std::span<const std::byte> value) override;
    result<usize> get_option(i32 level, i32 name, std::span<std::byte> value) override;
    result<usize> bytes_to_read() override;
    u32 poll_events() override;
    void close() override {}

private:
    struct answer {
        list_node link;
        vector<std::byte> bytes;
    };

    result<void> take_request(std::span<const std::byte> request);
    result<void> queue(netlink_writer& written);
    result<void> dump(netlink_writer& to, u16 kind, u8 family);
    void assign_port();
    answer* front();

    network_stack& _stack;
    u32 _port = 0;
    u32 _groups = 0;
    mutable spinlock _lock;
    list<answer, &answer::link> _answers;
};

}  // namespace kiln::net
