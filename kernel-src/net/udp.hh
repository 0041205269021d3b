// UDP sockets (RFC 768). What arrives is checked and queued by the network thread; the queue's spin
// lock is all that is needed, as there is no protocol work to share out. Context: threads.
#pragma once

#include "net/datagram.hh"

namespace kiln::net {

class udp_socket final : public datagram_socket {
public:
    udp_socket(network_stack& stack, u16 family);
    ~udp_socket() override;

    result<void> bind(const socket_address& address) override;
    result<void> connect(const socket_address& address, bool nonblocking) override;
    result<usize> send(socket_message& message, u32 flags) override;
    result<void> set_option(i32 level, i32 name, std::span<const std::byte> value) override;
    result<usize> get_option(i32 level, i32 name, std::span<std::byte> value) override;
    void close() override;

private:
    void dropped() override;
    result<void> bind_if_needed();

    bool _cork = false;
};

void udp_input(network_stack& stack, packet_ptr packet);

}  // namespace kiln::net
