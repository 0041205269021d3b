// What the backends of disks and network interfaces say of themselves in xenstore, and what we make
// of it. Whatever they say, the answer is something that works, or an error.
// (Xen public io/blkif.h, io/netif.h; docs/man/xen-vbd-interface.7)
#pragma once

#include <span>
#include <string_view>

#include "lib/result.hh"
#include "net/net_device.hh"

namespace kiln::xen {

// "multi-queue-max-queues": 0 where there is no such node.
u32 choose_queues(u64 offered, u32 cpus, u32 most);

// ---- disks ----

// Pages of a request, by "feature-max-indirect-segments".
u32 choose_segments(u64 offered);

struct disk_geometry {
    u64 sectors;
    u32 sector_size;
};
// By "sectors", of 512 bytes, and "sector-size".
result<disk_geometry> check_geometry(u64 sectors_of_512, u64 sector_size);

// Writes the name of the disk with this number; returns its length.
usize name_disk(u64 number, std::span<char> to);

// ---- network interfaces ----

struct net_offer {
    bool copies_received;      // feature-rx-copy
    bool scatter;              // feature-sg
    bool no_checksum;          // feature-no-csum-offload
    bool checksum_ipv6;        // feature-ipv6-csum-offload
    bool segments4, segments6; // feature-gso-tcpv4, -tcpv6
};
// Bits of net::device_feature.
u32 choose_net_features(const net_offer& offer);

// Such as "00:16:3e:5a:10:02". err::inval for anything else, and for addresses of groups.
result<net::mac_address> read_mac(std::string_view text);

}  // namespace kiln::xen
