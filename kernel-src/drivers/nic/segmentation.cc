#include "drivers/nic/segmentation.hh"

#include "lib/bytes.hh"
#include "net/checksum.hh"
#include "net/wire.hh"

namespace kiln::nic {
namespace {

// The sum without a 16-bit number that it holds (RFC 1624).
u16 subtract(u16 sum, u16 number) {
    u8 in_memory[2];
    store_be<u16>(in_memory, number);
    return net::checksum_fold(u32{sum} + static_cast<u16>(~load<u16>(in_memory)));
}

}  // namespace

bool prepare_segmentation(net::packet_buffer& frame) {
    const net::transmit_offload& asked = frame.offload;
    if (!frame.linearise(asked.header_size) || asked.header_size <= asked.checksum_start) {
        return false;
    }
    std::byte* field = frame.data() + asked.checksum_start + asked.checksum_offset;
    const u16 length = static_cast<u16>(frame.size() - asked.checksum_start);
    store<u16>(field, subtract(load<u16>(field), length));
    if (asked.kind == net::transmit_offload::segmentation::tcp4) {
        auto* ip = net::header_at<net::ipv4_header>(frame.data() + sizeof(net::ethernet_header));
        ip->total_size = 0;
        ip->checksum = 0;
    }
    return true;
}

}  // namespace kiln::nic
