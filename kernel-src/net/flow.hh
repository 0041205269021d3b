// A flow: a socket that the stack hands packets to through a channel.
//
// Whoever holds the flow's lock may consume its channel. `attend` is called by those who have put
// something into the channel, or made a timer due: it takes the lock if it is free and lets the flow
// work (on_attention); if the lock is held, its holder does the same before it goes. So nothing is
// left lying, nobody waits for a lock in a network thread, and a packet is handled on the CPU of the
// thread that uses the socket whenever that one is at work.
//
//   flow_guard hold(flow);   // locks; works off what has come; on release works off what came since
//
// Lock order: a flow's lock before the stack's spin locks; never two flows' locks, except a listener's
// before that of a child not yet published. Context: threads.
#pragma once

#include "core/mutex.hh"
#include "net/address.hh"
#include "net/channel.hh"

namespace kiln::net {

class network_stack;

struct flow_key {
    endpoint local;
    endpoint remote;
    bool operator==(const flow_key&) const = default;
};

class flow : noncopyable {
public:
    flow(network_stack& stack, u32 channel_bound) : _channel(channel_bound), _stack(stack) {}

    network_stack& stack() const { return _stack; }

    // Puts a packet into the channel; the caller then calls the stack's request_attention.
    bool push(packet_ptr& packet) { return _channel.push(packet); }
    // Asks for on_attention without a packet.
    void mark_due() { _due.store(true, std::memory_order_seq_cst); }
    bool wants_attention() const {
        return !_channel.empty() || _due.load(std::memory_order_seq_cst);
    }
    // Works off what is there, unless somebody holds the lock, who then will.
    void attend();

    virtual void hold_flow() = 0;
    virtual void release_flow() = 0;

protected:
    ~flow() = default;

    // Under the lock: takes packets and due work.
    virtual void on_attention(packet_queue& arrived, bool due) = 0;
    // Without the lock, after it was held: what must not be done under it.
    virtual void after_unlock() {}

    channel _channel;

private:
    friend class flow_guard;
    friend class network_stack;
    void work();
    void unlock_and_work();

    network_stack& _stack;
    mutex _lock;
    std::atomic<bool> _due{false};
    std::atomic<bool> _listed{false};  // on the stack's attention list
    flow* _next_listed = nullptr;
};

// Holds a flow's lock.
class [[nodiscard]] flow_guard : noncopyable {
public:
    explicit flow_guard(flow& held) : _held(held) {
        _held._lock.lock();
        _held.work();
    }
    ~flow_guard() { _held.unlock_and_work(); }

private:
    flow& _held;
};

}  // namespace kiln::net
