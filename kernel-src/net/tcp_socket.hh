// A TCP socket (RFC 9293). Its parts are spread over tcp_*.cc by subject: calls (what the program
// does), input and ack (what arrives), output, timers, listen, options.
//
// Everything private is guarded by the flow's lock; the program's calls hold it while they copy, and
// sleep without it. References: the descriptor's, one of the flow table from insertion to removal
// (an orphan lives by it), one while the timer is pending, one of the accept queue.
// Lock order: a listener's lock, then a fresh child's; then the tables' and timers' spin locks.
// Context: threads.
#pragma once

#include "net/flow.hh"
#include "net/inet_socket.hh"
#include "net/tcp.hh"
#include "net/tcp_congestion.hh"
#include "net/tcp_reorder_queue.hh"
#include "net/tcp_scoreboard.hh"
#include "net/tcp_send_queue.hh"
#include "net/timer_queue.hh"

namespace kiln::net {

// The numbers are those of Linux's TCP_INFO and /proc/net/tcp.
enum class tcp_state : u8 {
    established = 1, syn_sent, syn_received, fin_wait1, fin_wait2, time_wait, closed, close_wait,
    last_ack, listen, closing,
};

struct tcp_listener;
struct syn_request;
struct tcp_info;

class tcp_socket final : public inet_socket, public flow {
public:
    tcp_socket(network_stack& stack, u16 family);
    ~tcp_socket() override;

    // socket
    result<void> bind(const socket_address& address) override;
    result<void> listen(i32 backlog) override;
    result<ref<socket>> accept(bool nonblocking) override;
    result<void> connect(const socket_address& address, bool nonblocking) override;
    result<usize> send(socket_message& message, u32 flags) override;
    result<usize> receive(socket_message& message, u32 flags) override;
    result<void> shutdown(i32 how) override;
    result<void> local_address(socket_address& to) override;
    result<void> peer_address(socket_address& to) override;
    result<void> set_option(i32 level, i32 name, std::span<const std::byte> value) override;
    result<usize> get_option(i32 level, i32 name, std::span<std::byte> value) override;
    result<usize> bytes_to_read() override;
    result<usize> bytes_unsent() override;
    result<bool> at_mark() override;
    u32 poll_events() override;
    void close() override;
    void network_error(err reason, bool hard, u32 mtu) override;

    // An ICMP error that quotes a segment of ours with this sequence number.
    void quoted_error(u32 sequence, err reason, bool hard, u32 mtu);

    // flow
    void hold_flow() override { add_reference(); }
    void release_flow() override { drop_reference(); }
    bool call_users() override;

    flow_key key() const { return {_local, _peer}; }
    tcp_state state() const { return _state; }
    tcp_socket* next_in_bucket = nullptr;  // the flow table's

    // Figures for /proc/net/tcp; read without the lock.
    u32 shown_send_queue() const { return _snd_nxt - _snd_una; }
    u32 shown_receive_queue() const { return static_cast<u32>(_rcv_queued); }

private:
    friend struct tcp_listener;

    enum timer_kind : u8 { retransmit_timer, ack_timer, persist_timer, keep_timer, wait_timer,
                           cork_timer, timer_count };
    enum class urgent_state : u8 { none, announced, here, taken };
    enum class recovery_state : u8 { open, recovery, loss };

    // flow
    void on_attention(packet_queue& arrived, bool due) override;
    // Sends what can be sent, sets the timer, wakes who waits. After every change.
    void settle();
    void after_unlock() override;

    // tcp_calls.cc
    result<void> connect_start(endpoint to);
    result<void> wait_connected(bool nonblocking);
    result<usize> send_some(socket_message& message, u32 flags, usize& done);
    result<usize> copy_received(io_vector& to, u32 flags, usize& done, usize wanted);
    result<void> why_not_readable(bool nonblocking);
    usize send_space() const;
    bool writable_now() const;
    bool end_of_input() const { return _read_shut || _fin_received; }
    u32 events_now();
    void consumed(usize size);
    void linger(u64 until);
    void begin_orphan();

    // tcp_urgent.cc
    void mark_urgent();
    u16 urgent_pointer(u32 sequence);
    u32 read_sequence() const;
    bool at_urgent(usize peeked = 0) const;
    bool urgent_leads() const;
    usize readable_before_urgent(usize wanted) const;
    void drop_urgent_byte();
    void forget_read_urgent();
    void urgent_input(const tcp_segment& segment);
    void announce_urgent(u32 sequence);
    result<usize> receive_urgent(socket_message& message, u32 flags);

    // tcp_input.cc
    void segment_input(tcp_segment& segment);
    void syn_sent_input(tcp_segment& segment);
    void time_wait_input(tcp_segment& segment);
    bool acceptable(const tcp_segment& segment) const;
    bool check_segment(tcp_segment& segment);
    void reset_input(const tcp_segment& segment);
    void data_input(tcp_segment& segment);
    void in_order_input(packet_ptr packet);
    void out_of_order_input(packet_ptr packet, u32 start);
    void queue_received(packet_ptr packet);
    void fin_input();
    void apply_syn_options(const tcp_options& options);
    void set_established();
    void adopt(const syn_request& request, tcp_socket& listener);

    // tcp_ack.cc
    bool ack_input(tcp_segment& segment);
    void new_ack(const tcp_segment& segment);
    void take_sacks(const tcp_segment& segment);
    void update_window(const tcp_segment& segment);
    void measure(const tcp_segment& segment, u64 time);
    void duplicate_ack(const tcp_segment& segment);
    void enter_recovery();
    void update_loss_edge();
    void our_fin_acknowledged();
    u32 outstanding() const { return _snd_nxt - _snd_una; }
    u32 pipe() const;

    // tcp_output.cc
    void output();
    bool retransmit_some();
    bool send_new();
    u32 sendable(u32 room, bool& partial) const;
    bool send_segment(u32 sequence, u32 length, u8 flags, bool again);
    void send_syn();
    void send_ack();
    void send_reset();
    void challenge_ack();
    void send_probe();
    void wait_to_send(u32 sent, u32 unsent);
    tcp_options current_options(bool with_sacks);
    u32 segment_size() const;
    u32 receive_window();
    u32 advertised() const { return _rcv_advertised - _rcv_nxt; }
    result<void> find_way();
    bool transmit(packet_ptr packet, u32 sequence, u8 flags, const tcp_options& options,
                  u32 payload, bool more);
    u32 largest_send() const;

    // tcp_timers.cc
    static void timer_fired(net_timer& expired);
    void start_timer(timer_kind kind, u64 deadline);
    void stop_timer(timer_kind kind) { _deadlines[kind] = never; }
    void stop_all_timers();
    void schedule();
    void run_timers();
    void run_timer(timer_kind kind, u64 time);
    void on_retransmit(u64 time);
    void on_persist(u64 time);
    void on_keep_alive(u64 time);
    bool given_up(u64 time, u32 tries, u32 limit) const;
    void restart_retransmit_timer();
    void restart_keep_alive();

    // tcp_listen.cc
    void listener_input(packet_ptr packet);
    void syn_input(const tcp_segment& segment, const flow_key& key, syn_request* request);
    void answer_with_cookie(syn_request& fresh);
    u16 first_offer() const;
    void handshake_input(tcp_segment& segment, const flow_key& key, syn_request* request);
    void make_child(const syn_request& request, tcp_segment& segment);
    void listener_timers(u64 time);
    void close_listener();

    // tcp_options.cc
    result<void> set_tcp_option(i32 name, std::span<const std::byte> value);
    result<usize> get_tcp_option(i32 name, std::span<std::byte> value);
    void fill_info(tcp_info& to);

    // Life.
    void set_state(tcp_state to);
    void enter_time_wait();
    void drop_connection(err reason);
    void enter_closed();
    void wake(u32 events) { _wake |= events; }
    bool synchronised() const {
        return _state != tcp_state::closed && _state != tcp_state::listen &&
               _state != tcp_state::syn_sent;
    }
    bool is_listening() const override { return _state == tcp_state::listen; }
    void option_changed(i32 name) override;

    std::atomic<tcp_state> _state{tcp_state::closed};
    bool _in_flow_table = false;
    std::atomic<bool> _drop_table_reference{false};
    bool _orphan = false;
    bool _orphan_counted_out = false;
    bool _read_shut = false;
    bool _write_shut = false;   // shutdown(SHUT_WR) or close: FIN follows the queue
    bool _fin_sent = false;
    bool _fin_received = false;
    bool _fin_known = false;    // the peer's FIN came ahead of its turn
    u32 _fin_sequence = 0;
    bool _was_connected = false;
    bool _connect_pending = false;  // a non-blocking connect whose outcome is not yet told
    u32 _wake = 0;

    // Send side (RFC 9293, 3.3.1).
    u32 _iss = 0;
    u32 _snd_una = 0;
    u32 _snd_nxt = 0;
    u32 _snd_window = 0;
    u32 _snd_wl1 = 0;
    u32 _snd_wl2 = 0;
    u32 _max_snd_window = 0;
    u8 _snd_scale = 0;
    tcp_send_queue _queue_out;      // its first byte is _snd_una (or _iss + 1 before the handshake ends)
    u16 _peer_mss = 536;
    u16 _user_mss = 0;
    u32 _path_mtu = 65535;
    bool _no_delay = false;
    bool _cork = false;
    bool _cork_expired = false;
    bool _wants_space = false;      // somebody found the buffer full
    u32 _push_edge = 0;             // bytes below it are sent even if they fill no segment
    u64 _last_sent_at = 0;

    // Urgent data: up to where it goes, and the byte that has come.
    u32 _snd_urgent = 0;
    bool _sends_urgent = false;
    urgent_state _urgent = urgent_state::none;
    std::byte _urgent_byte{};
    u32 _urgent_sequence = 0;

    // Receive side.
    u32 _irs = 0;
    u32 _rcv_nxt = 0;
    u32 _rcv_advertised = 0;        // right edge of the window that the peer knows
    u32 _last_ack_sent = 0;
    u8 _rcv_scale = 0;
    packet_queue _received;
    usize _rcv_queued = 0;          // payload bytes in it
    usize _rcv_pinned = 0;          // memory of it
    tcp_reorder_queue _reorder;
    u32 _rcv_limit = 0;             // window we offer at most
    u64 _tune_since = 0;
    usize _tune_bytes = 0;
    u32 _copied_sequence = 0;       // of the first byte not yet read
    bool _ack_now = false;
    u8 _quick_acks = 0;
    bool _interactive = false;      // we answer what we receive: acknowledgments can ride along
    u16 _last_payload = 536;        // what the peer's segments hold

    // Options agreed on.
    bool _timestamps = false;
    bool _sack = false;
    u32 _ts_recent = 0;
    u64 _ts_recent_at = 0;
    u32 _ts_offset = 0;

    // Loss and congestion.
    congestion_control _congestion;
    rtt_estimator _rtt;
    tcp_scoreboard _scoreboard;
    recovery_state _recovery = recovery_state::open;
    u32 _recovery_point = 0;
    u32 _loss_edge = 0;    // what is not SACKed below it counts as lost
    u32 _resent_edge = 0;  // below it, lost stretches have been sent again
    u32 _duplicate_acks = 0;
    u32 _timed_sequence = 0;
    u64 _timed_at = 0;     // 0: nothing is being timed
    u8 _tries = 0;         // time-outs in a row
    u64 _first_try_at = 0;
    u32 _total_retransmits = 0;
    err _soft_error{0};

    // Timers: one of the stack's for the earliest of ours.
    u64 _deadlines[timer_count];
    net_timer _timer{&timer_fired};
    u64 _timer_at = never;
    std::atomic<bool> _timer_pending{false};
    u64 _last_heard_at = 0;
    u8 _keep_probes = 0;
    u32 _keep_idle = 7200;
    u32 _keep_interval = 75;
    u8 _keep_count = 9;
    u8 _syn_count = 6;
    i32 _linger2 = 0;
    u32 _defer_accept = 0;
    u32 _user_timeout = 0;   // milliseconds
    u32 _window_clamp = 0;
    u32 _notsent_low_water = 0;
    i32 _fast_open = 0;
    u64 _challenge_at = 0;   // start of the present second of challenge ACKs
    u32 _challenges = 0;
    u64 _bytes_acked = 0;
    u64 _bytes_received = 0;
    u32 _segments_in = 0;
    u32 _segments_out = 0;

    // The way to the peer.
    route _way;
    u32 _way_generation = 0;

    unique<tcp_listener> _listener;
    ref<tcp_socket> _parent;  // of a child not yet accepted
    list_node _accept_link;
};

}  // namespace kiln::net
