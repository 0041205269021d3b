#include "net/port_table.hh"

#include <algorithm>

#include "core/entropy.hh"
#include "net/inet_socket.hh"

namespace kiln::net {
namespace {

bool same_or_any(const port_binding& a, const port_binding& b) {
    return a.address.is_unspecified() || b.address.is_unspecified() || a.address == b.address;
}

// Whether the address ranges of two bindings meet (Linux: inet_rcv_saddr_equal).
bool addresses_meet(const port_binding& a, const port_binding& b) {
    // An unspecified AF_INET6 binding takes IPv4 too unless it is V6ONLY; a specific address of one
    // family never meets one of the other.
    auto takes_v4 = [](const port_binding& x) {
        return !x.v6 || x.address.is_v4() || (x.address.is_unspecified() && !x.v6_only);
    };
    auto takes_v6 = [](const port_binding& x) { return x.v6 && !x.address.is_v4(); };
    return ((takes_v4(a) && takes_v4(b)) || (takes_v6(a) && takes_v6(b))) && same_or_any(a, b);
}

}  // namespace

bool port_binding::covers(const ip_address& wanted) const {
    if (!address.is_unspecified()) {
        return address == wanted;
    }
    return wanted.is_v4() ? !v6 || !v6_only : v6;
}

bool port_table::conflict(const port_binding& wanted, const port_binding& other, bool datagrams) {
    if (!addresses_meet(wanted, other)) {
        return false;
    }
    const bool both_reuse = wanted.reuse_address && other.reuse_address;
    const bool both_share = wanted.reuse_port && other.reuse_port;
    // SO_REUSEADDR lets streams share a port with connections but not with a listener.
    return !both_share && !(both_reuse && (datagrams || !other.receiving));
}

bool port_table::conflicts(const port_binding& wanted, u16 port, bool datagrams) {
    bucket& in = bucket_of(port);
    for (port_binding& other : in.receivers) {
        if (other.port == port && conflict(wanted, other, datagrams)) {
            return true;
        }
    }
    for (port_binding& other : in.others) {
        if (other.port == port && conflict(wanted, other, datagrams)) {
            return true;
        }
    }
    return false;
}

u16 port_table::choose_port(port_binding& wanted, bool datagrams) {
    constexpr u32 range = last_ephemeral - first_ephemeral + 1;
    const u32 start = static_cast<u32>(random_u64() % range);
    for (u32 i = 0; i < range; ++i) {
        const u16 port = static_cast<u16>(first_ephemeral + (start + i) % range);
        port_binding exclusive{wanted.owner};
        exclusive.address = wanted.address;
        exclusive.v6 = wanted.v6;
        exclusive.v6_only = wanted.v6_only;
        if (!conflicts(exclusive, port, datagrams)) {
            return port;
        }
    }
    return 0;
}

result<void> port_table::bind(port_binding& added, bool datagrams) {
    lock_guard guard(_lock);
    if (added.port == 0) {
        added.port = choose_port(added, datagrams);
        if (added.port == 0) {
            return err::addrinuse;
        }
    } else if (conflicts(added, added.port, datagrams)) {
        added.port = 0;
        return err::addrinuse;
    }
    bucket& in = bucket_of(added.port);
    (added.receiving ? in.receivers : in.others).push_back(added);
    return {};
}

void port_table::share(port_binding& added) {
    lock_guard guard(_lock);
    bucket_of(added.port).others.push_back(added);
}

void port_table::unbind(port_binding& gone) {
    lock_guard guard(_lock);
    if (gone.link.linked()) {
        binding_list::remove(gone);
    }
}

result<void> port_table::start_receiving(port_binding& which) {
    lock_guard guard(_lock);
    bucket& in = bucket_of(which.port);
    for (port_binding& other : in.receivers) {
        const bool both_share = which.reuse_port && other.reuse_port;
        if (&other != &which && other.port == which.port && addresses_meet(which, other) &&
            !both_share) {
            return err::addrinuse;
        }
    }
    if (!which.receiving) {
        binding_list::remove(which);
        in.receivers.push_back(which);
        which.receiving = true;
    }
    return {};
}

ref<inet_socket> port_table::find_receiver(const endpoint& local, const endpoint& remote, u32 hash,
                                           u32 device) {
    lock_guard guard(_lock);
    port_binding* best = nullptr;
    int best_score = 0;
    u32 equals = 0;
    for (port_binding& entry : bucket_of(local.port).receivers) {
        if (entry.port != local.port || !entry.covers(local.address) ||
            (entry.device != 0 && entry.device != device) ||
            (entry.connected && !(entry.peer == remote))) {
            continue;
        }
        const int score = 1 + (entry.connected ? 8 : 0) + (entry.address.is_unspecified() ? 0 : 4) +
                          (entry.v6 != local.address.is_v4() ? 2 : 0);
        if (score > best_score) {
            best = &entry;
            best_score = score;
            equals = 1;
        } else if (score == best_score && entry.reuse_port && best->reuse_port) {
            // Each of n equals is chosen for one n-th of the hashes.
            ++equals;
            if (static_cast<u64>(hash) * equals >> 32 == 0) {
                best = &entry;
            }
            hash *= 0x9e3779b1u;
        }
    }
    if (best == nullptr || !best->owner.try_add_reference()) {
        return nullptr;
    }
    return ref<inet_socket>::adopt(&best->owner);
}

usize port_table::find_all(const endpoint& local, const endpoint& remote,
                           std::span<ref<inet_socket>> to) {
    lock_guard guard(_lock);
    usize count = 0;
    for (port_binding& entry : bucket_of(local.port).receivers) {
        const bool takes = entry.address == local.address || entry.covers(local.address);
        if (count < to.size() && entry.port == local.port && takes &&
            (!entry.connected || entry.peer == remote) && entry.owner.try_add_reference()) {
            to[count++] = ref<inet_socket>::adopt(&entry.owner);
        }
    }
    return count;
}

}  // namespace kiln::net
