// The state of a listening socket: handshakes under way, which cost a small record each (and none at
// all when there are too many: SYN cookies), and connections that wait for accept.
// Guarded by the listening socket's lock. Context: threads.
#pragma once

#include "net/tcp_socket.hh"

namespace kiln::net {

// A handshake of which the SYN has come and the SYN-ACK has gone.
struct syn_request {
    list_node link;
    flow_key key;
    u32 their_sequence = 0;
    u32 our_sequence = 0;
    tcp_options options;
    u16 window = 0;
    u16 our_window = 0;
    u8 tries = 0;
    u8 our_scale = 0;
    u64 next_try = 0;
    u64 sent_at = 0;
    bool got_ack = false;  // TCP_DEFER_ACCEPT: the bare ACK has come, data has not
};

struct tcp_listener {
    static constexpr usize bucket_count = 64;
    using request_list = list<syn_request, &syn_request::link>;

    ~tcp_listener();

    u32 backlog = 0;
    request_list requests[bucket_count];
    u32 request_count = 0;
    list<tcp_socket, &tcp_socket::_accept_link> ready;  // one reference each
    u32 ready_count = 0;
    u64 last_cookie_at = 0;

    request_list& bucket_of(const flow_key& key) {
        return requests[(key.remote.port ^ key.remote.address.bytes[15]) % bucket_count];
    }
    syn_request* find(const flow_key& key);
    void remove(syn_request& gone);
    bool ready_full() const { return ready_count > backlog; }
};

// tcp_cookie.cc: a SYN-ACK sequence number that holds what a record would (RFC 4987, 3.6).
u32 make_syn_cookie(network_stack& stack, const flow_key& key, u32 their_sequence, u16 mss);
// Whether `cookie` is one of ours, not over two minutes old; gives the MSS it stands for.
bool check_syn_cookie(network_stack& stack, const flow_key& key, u32 their_sequence, u32 cookie,
                      u16& mss);
// RFC 6528.
u32 initial_sequence(network_stack& stack, const flow_key& key);
u32 timestamp_offset(network_stack& stack, const flow_key& key);

}  // namespace kiln::net
