// Packets from outside: whatever frames arrive, the stack neither crashes nor reads beyond them, and
// an honest connection afterwards still works.
//
// The input is a row of frames: two bytes of length, then the frame. Addresses and ports of most are
// overwritten with those of a live connection or listener, so that the deeper layers are reached; and
// checksums are made right, unless the input says otherwise.
#include <cstring>
#include <vector>

#include "net/checksum.hh"
#include "net/tcp_socket.hh"
#include "net/udp.hh"
#include "tests/net/link.hh"

using namespace kiln;
using namespace kiln::net;
using namespace kiln::net::test;

namespace {

std::span<const std::byte> view(const std::vector<u8>& bytes, usize from, usize size) {
    return {reinterpret_cast<const std::byte*>(bytes.data()) + from, size};
}

void fix_v4(std::vector<u8>& frame, const ip_address& from, const ip_address& to, u16 port) {
    if (frame.size() < 34) {
        return;
    }
    auto* ip = reinterpret_cast<ipv4_header*>(&frame[14]);
    ip->version_and_size = static_cast<u8>(0x40 | std::max(5, ip->version_and_size & 15));
    const usize header = ip->header_size();
    if (frame.size() < 14 + header + 8) {
        return;
    }
    const usize size = frame.size() - 14 - header;
    ip->total_size = static_cast<u16>(frame.size() - 14);
    ip->source = from.to_v4();
    ip->destination = to.to_v4();
    ip->checksum = 0;
    ip->checksum = checksum_finish(checksum_add(0, view(frame, 14, header)));
    u8* transport = &frame[14 + header];
    const u32 pseudo = pseudo_header_sum(from, to, ip->protocol, static_cast<u32>(size));
    if (ip->protocol == ip_protocol::tcp && size >= 20) {
        store_be<u16>(transport, 4000);
        store_be<u16>(transport + 2, port);
        store<u16>(transport + 16, 0);
        store<u16>(transport + 16, checksum_finish(checksum_add(pseudo, view(frame, 14 + header, size))));
    } else if (ip->protocol == ip_protocol::udp) {
        store_be<u16>(transport + 4, static_cast<u16>(size));
        store<u16>(transport + 6, 0);
    } else if (ip->protocol == ip_protocol::icmp) {
        store<u16>(transport + 2, 0);
        store<u16>(transport + 2, checksum_finish(checksum_add(0, view(frame, 14 + header, size))));
    }
}

void fix_v6(std::vector<u8>& frame, const ip_address& to) {
    if (frame.size() < 62) {
        return;
    }
    auto* ip = reinterpret_cast<ipv6_header*>(&frame[14]);
    ip->version_class_flow = 6u << 28;
    ip->payload_size = static_cast<u16>(frame.size() - 54);
    std::memcpy(ip->destination, to.bytes, 16);
    ip->source[0] = 0xfe;
    ip->source[1] = 0x80;
    if (ip->next_header == ip_protocol::icmpv6) {
        const u32 pseudo = pseudo_header_sum(ip_address::v6_bytes(ip->source), to, ip_protocol::icmpv6,
                                             static_cast<u32>(frame.size() - 54));
        store<u16>(&frame[56], 0);
        store<u16>(&frame[56], checksum_finish(checksum_add(pseudo, view(frame, 54, frame.size() - 54))));
    }
}

struct world {
    world() {
        listener = make_ref<tcp_socket>(self.stack, address_family::inet).take();
        datagrams = make_ref<udp_socket>(self.stack, address_family::inet).take();
        if (!listener->bind(to_sockaddr("10.0.0.2", 80)).ok() || !listener->listen(8).ok() ||
            !datagrams->bind(to_sockaddr("0.0.0.0", 53)).ok()) {
            std::abort();
        }
    }
    ~world() {
        listener->close();
        datagrams->close();
    }
    void step(u64 duration) {
        host::advance_time(duration);
        self.stack.timers.run(now());
        self.stack.run_pending();
    }
    machine self{2, prefix("10.0.0.2/24")};
    ref<tcp_socket> listener;
    ref<udp_socket> datagrams;
};

void give_frame(world& to, std::vector<u8> frame, u8 how) {
    const ip_address own = ip_address::v4(10, 0, 0, 2);
    const mac_address mac = to.self.card.mac();
    if ((how & 1) != 0 && frame.size() >= 14) {
        std::memcpy(frame.data(), mac.bytes, 6);
        const u8 kind = (how >> 1) & 3;
        store_be<u16>(&frame[12], kind == 0 ? ether_type::arp : kind == 1 ? ether_type::ipv6 : ether_type::ipv4);
        if (kind == 1) {
            interface_address known[interface::max_addresses];
            const usize count = to.self.eth->addresses(known);
            fix_v6(frame, known[count - 1].prefix.address);
        } else if (kind != 0) {
            fix_v4(frame, ip_address::v4(10, 0, 0, 9), own, (how & 8) != 0 ? 81 : 80);
        }
    }
    if (!frame.empty()) {
        to.self.card.receive(frame);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    host::set_time(1000 * ns_per_s);
    world here;
    here.step(3 * ns_per_s);
    ref<socket> accepted;
    while (size >= 3) {
        const u8 how = data[0];
        const usize length = std::min<usize>(load<u16>(data + 1) % 1600, size - 3);
        give_frame(here, std::vector<u8>(data + 3, data + 3 + length), how);
        data += 3 + length;
        size -= 3 + length;
        if ((how & 16) != 0) {
            here.self.card.receiver()->batch_end();
            here.step(u64{how} * ns_per_ms);
        }
        if (!accepted) {
            if (auto taken = here.listener->accept(true); taken.ok()) {
                accepted = taken.take();
            }
        } else {
            static_cast<void>(send_bytes(*accepted, "some answer to whatever it was"));
            receive_bytes(*accepted, 100);
        }
        receive_bytes(*here.datagrams, 100);
        here.self.card.sent.clear();
    }
    here.self.card.receiver()->batch_end();
    here.step(ns_per_s);
    if (accepted) {
        accepted->close();
        accepted = nullptr;
    }
    here.step(200 * ns_per_s);
    return 0;
}
