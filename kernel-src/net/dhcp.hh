// The DHCP client of an interface (RFC 2131): gets an IPv4 address, a router and name servers, and
// renews the lease. Begins anew when the server refuses or the link comes back.
// Lock: its spin lock around the state; nothing is sent under it. Context: threads.
#pragma once

#include "net/interface.hh"

namespace kiln::net {

class dhcp_client : noncopyable {
public:
    dhcp_client(interface& on, std::string_view host_name);
    ~dhcp_client();

    void start();
    // Whether a packet that is for none of our addresses may be an answer.
    bool wants(const packet_buffer& packet);
    // A datagram to the client's port, its UDP header in front; true when it was ours.
    bool input(packet_ptr& packet);

private:
    enum class phase : u8 { idle, selecting, requesting, bound, renewing, rebinding };
    struct offer {
        u8 kind = 0;
        ip_address address = any_v4;
        ip_address server = any_v4;
        ip_address router = any_v4;
        ip_address name_servers[4];
        usize name_server_count = 0;
        u8 prefix_length = 24;
        u32 lease = 3600;
        u32 renew = 0;
        u32 rebind = 0;
        u16 mtu = 0;
    };

    static void timer_fired(net_timer& expired);
    void on_timer();
    void send(u8 kind);
    usize write_options(u8 kind, std::byte* to);
    static bool parse(const packet_buffer& packet, u32 transaction, const mac_address& mac,
                      offer& to);
    void accept(const offer& given);
    void drop_lease();
    void arm(u64 delay);
    u64 retry_delay();

    interface& _on;
    std::string_view _host_name;
    spinlock _lock;
    phase _phase = phase::idle;
    u32 _transaction = 0;
    u32 _tries = 0;
    u64 _started_at = 0;
    u64 _bound_at = 0;
    offer _offer;
    ip_prefix _leased{};
    net_timer _timer{&timer_fired};
};

}  // namespace kiln::net
