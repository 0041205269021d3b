// struct tcp_info of Linux (include/uapi/linux/tcp.h), as far as it is filled in.
#pragma once

#include "lib/types.hh"

namespace kiln::net {

struct tcp_info {
    u8 state, ca_state, retransmits, probes, backoff, options;
    u8 scales;  // send scale in the lower half
    u8 limits;
    u32 rto, ato, snd_mss, rcv_mss;
    u32 unacked, sacked, lost, retrans, fackets;
    u32 last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    u32 pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    u32 rcv_rtt, rcv_space;
    u32 total_retrans;
    u64 pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    u32 segs_out, segs_in;
    u32 notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    u64 delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
    u32 delivered, delivered_ce;
    u64 bytes_sent, bytes_retrans;
    u32 dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
};
static_assert(sizeof(tcp_info) == 232);

}  // namespace kiln::net
