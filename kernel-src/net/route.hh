// The routing table: few entries, so a list that is searched for the longest prefix.
// Lock: its spin lock, innermost. Context: threads.
#pragma once

#include "core/spinlock.hh"
#include "net/address.hh"

namespace kiln::net {

class interface;

struct route_entry {
    ip_prefix destination;
    ip_address gateway;  // unspecified: on the link
    interface* out = nullptr;
    u32 metric = 0;
    bool dynamic = false;  // from DHCP or a router
};

// The way of a packet: computed once a flow, and again when the stack's route generation moves.
struct route {
    interface* out = nullptr;
    ip_address next_hop;
    ip_address source;
    bool local = false;  // stays in this machine
};

class route_table : noncopyable {
public:
    static constexpr usize max_entries = 32;

    result<void> add(const route_entry& added);
    void remove(const ip_prefix& destination, const interface* out);
    void remove_dynamic(const interface* out, bool v4);
    // The entry with the longest prefix; `out` null: any interface.
    bool find(const ip_address& destination, const interface* out, route_entry& to);
    usize snapshot(std::span<route_entry> to);

private:
    spinlock _lock;
    route_entry _entries[max_entries];
    usize _count = 0;
};

}  // namespace kiln::net
