// Which sockets have which local ports: conflicts of bind as on Linux, the choice of a free port, and
// the search for who listens.
// Lock: the table's spin lock, innermost. Context: threads.
#pragma once

#include "core/spinlock.hh"
#include "lib/list.hh"
#include "lib/ref.hh"
#include "net/address.hh"

namespace kiln::net {

class inet_socket;

// A socket's entry; part of the socket, which takes it out before it goes.
struct port_binding : noncopyable {
    explicit port_binding(inet_socket& socket) : owner(socket) {}

    inet_socket& owner;
    ip_address address;   // unspecified: all
    u16 port = 0;
    bool v6 = false;      // an AF_INET6 socket
    bool v6_only = false;
    bool reuse_address = false;
    bool reuse_port = false;
    bool receiving = false;  // TCP: listens. UDP: always once bound.
    bool connected = false;  // UDP with a peer
    endpoint peer;
    u32 device = 0;          // SO_BINDTODEVICE
    list_node link;

    bool covers(const ip_address& wanted) const;
};

class port_table : noncopyable {
public:
    static constexpr usize bucket_count = 256;
    static constexpr u16 first_ephemeral = 32768;
    static constexpr u16 last_ephemeral = 60999;

    // Enters a binding for its address and port; port 0 chooses one. `datagrams`: the rule of UDP,
    // where reuse_address alone allows sharing. err::addrinuse.
    result<void> bind(port_binding& added, bool datagrams);
    void unbind(port_binding& gone);
    // Changes fields that look-ups read (peer, receiving …).
    template <class Change>
    result<void> update(port_binding& which, Change change) {
        lock_guard guard(_lock);
        change(which);
        return {};
    }
    // Enters a connection that shares its listener's port.
    void share(port_binding& added);
    // Starts receiving (listen); err::addrinuse when another listens there without leave to share.
    result<void> start_receiving(port_binding& which);

    // Who receives what is sent to `local` from `remote`; with reuse_port groups the hash decides.
    ref<inet_socket> find_receiver(const endpoint& local, const endpoint& remote, u32 hash,
                                   u32 device);
    // Calls visit(inet_socket&) for every receiver of a multicast or broadcast datagram.
    usize find_all(const endpoint& local, const endpoint& remote, std::span<ref<inet_socket>> to);
    template <class Visit>
    void for_each(Visit visit) {
        lock_guard guard(_lock);
        for (bucket& at : _buckets) {
            for (port_binding& entry : at.receivers) {
                visit(entry);
            }
            for (port_binding& entry : at.others) {
                visit(entry);
            }
        }
    }

private:
    using binding_list = list<port_binding, &port_binding::link>;
    // Receivers apart from mere connections, which may be thousands on one port.
    struct bucket {
        binding_list receivers;
        binding_list others;
    };
    bucket& bucket_of(u16 port) { return _buckets[port % bucket_count]; }
    bool conflicts(const port_binding& wanted, u16 port, bool datagrams);
    static bool conflict(const port_binding& wanted, const port_binding& other, bool datagrams);
    u16 choose_port(port_binding& wanted, bool datagrams);

    spinlock _lock;
    bucket _buckets[bucket_count];
};

}  // namespace kiln::net
