#include "drivers/ena/offloads.hh"

#include "drivers/ena/descriptors.hh"
#include "net/ip.hh"

namespace kiln::ena {
namespace {

using net::packet_buffer;
using segmentation = net::transmit_offload::segmentation;

constexpr u32 ip_start = sizeof(net::ethernet_header);

bool is_ipv6(const packet_buffer& frame) {
    const auto* ethernet = reinterpret_cast<const net::ethernet_header*>(frame.data());
    return ethernet->type == net::ether_type::ipv6;
}

u32 ip_words(const packet_buffer& frame, bool segments) {
    namespace w = transmit_word;
    if (is_ipv6(frame)) {
        return w::ipv6;
    }
    const auto* ip = reinterpret_cast<const net::ipv4_header*>(frame.data() + ip_start);
    const bool whole = (ip->fragment & net::ipv4_header::dont_fragment) != 0;
    return w::ipv4 | (whole ? w::dont_fragment : 0) | (segments ? w::ip_sum : 0);
}

// Metadata of frames that ask for nothing is zeros, but valid.
void describe_metadata(const net::transmit_offload& asked, offload_words& to) {
    namespace m = metadata_word;
    const u32 size = asked.segment_size;
    to.metadata[0] = m::valid | m::extended | m::stored |
                     size >> m::segment_low_bits << m::segment_high_shift;
    if (!asked.checksum) {
        return;
    }
    const u32 tcp_words = size == 0 ? 0 : (asked.header_size - asked.checksum_start) / 4u;
    to.metadata[1] = (asked.checksum_start - ip_start) | ip_start << m::ip_start_shift |
                     tcp_words << m::tcp_words_shift | size << m::segment_low_shift;
}

}  // namespace

// A device that makes segments makes their sums whole; else it adds to the pseudo-header's.
bool describe_offload(packet_buffer& frame, bool device_sums_ipv6, offload_words& to) {
    namespace w = transmit_word;
    const net::transmit_offload& asked = frame.offload;
    const bool segments = asked.kind != segmentation::none;
    const usize headers = segments ? asked.header_size
                                   : usize{asked.checksum_start} + asked.checksum_offset + 2;
    to = {};
    if (asked.checksum && (asked.checksum_start <= ip_start || !frame.linearise(headers))) {
        return false;
    }
    describe_metadata(asked, to);
    if (asked.checksum && !segments && !device_sums_ipv6 && is_ipv6(frame)) {
        net::fill_checksum(frame);
        return true;
    }
    if (asked.checksum) {
        const bool tcp = asked.checksum_offset == offsetof(net::tcp_header, checksum);
        to.any = true;
        to.asked = ip_words(frame, segments) | (tcp ? w::tcp : w::udp) | w::transport_sum |
                   (segments ? w::segment : w::has_pseudo_sum);
    }
    return true;
}

}  // namespace kiln::ena
