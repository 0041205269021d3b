// A flow: a socket that the stack hands packets to through a channel.
//
// Whoever holds the flow's lock may consume its channel, and does so before it lets go: a thread that
// reads, writes or polls the socket does the protocol's work itself, on its own CPU. When packets have
// come that hold news for them, threads that wait for the flow are called (call_users). A flow without
// such threads, or whose channel is half full, or that nobody has come to for about a millisecond, or
// that got nothing but acknowledgments, is worked off by a network thread (attend), which takes the
// lock only if it is free: a holder will look again anyway. So nothing is left lying and no network
// thread ever waits for a lock.
//
// Users are called in the order in which their news came, as epoll lists them in that order. A bare
// acknowledgment gives a flow no place in it.
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
class flow;

// A flow's place on a flow_list.
struct flow_place {
    explicit flow_place(flow& of) : owner(of) {}
    flow& owner;
    flow_place* next = nullptr;
    std::atomic<bool> listed{false};
};

// Flows whose turn is to come, each once and with a reference. Any number of threads put without a
// lock; one at a time takes what there is.
class flow_list : noncopyable {
public:
    bool empty() const { return _newest.load(std::memory_order_seq_cst) == nullptr; }
    void put(flow_place& added);
    // Calls `visit` for each place in the order they were put. The flow's reference is let go after.
    template <class Visit>
    bool visit_all(Visit visit);

private:
    flow_place* take_all();
    std::atomic<flow_place*> _newest{nullptr};
};

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
    // Tells the threads that wait for the flow to come and do it themselves, each on its own CPU. False
    // when there are none, or too much has piled up.
    virtual bool call_users() { return false; }

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
    flow_place _work_place{*this};  // on the stack's attention list
    flow_place _news_place{*this};  // the same, for its users
    flow_place _left_place{*this};  // on its list of flows left to their users
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

template <class Visit>
bool flow_list::visit_all(Visit visit) {
    flow_place* place = take_all();
    const bool any = place != nullptr;
    while (place != nullptr) {
        flow_place* after = place->next;
        // Cleared first: what comes from here on lists it again.
        place->listed.store(false, std::memory_order_seq_cst);
        visit(*place);
        place->owner.release_flow();
        place = after;
    }
    return any;
}

}  // namespace kiln::net
