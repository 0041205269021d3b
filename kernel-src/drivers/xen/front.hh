// Our half of a device that another domain provides: how the two halves find each other and agree, by
// nodes in xenstore (Xen public io/xenbus.h, docs/misc/xenstore-paths).
//
// Each half has a directory with a node "state" that the other watches. The usual course: both are
// initialising; the backend offers what it can do and waits (init_wait); we publish our choice and
// say so (initialised, connected); the backend joins and is connected. A half that closes is answered
// by closing.
//
// Locks: none of its own; the state is one word that the watch's thread writes. Context: threads.
#pragma once

#include <atomic>
#include <string_view>

#include "core/wait_queue.hh"
#include "drivers/xen/xenstore.hh"

namespace kiln::xen {

enum class xenbus_state : u8 {
    unknown = 0,  // there is no such node
    initialising = 1,
    init_wait = 2,
    initialised = 3,
    connected = 4,
    closing = 5,
    closed = 6,
    reconfiguring = 7,
    reconfigured = 8,
};
std::string_view name_of(xenbus_state state);

class front : noncopyable {
public:
    static constexpr u64 domain_limit = 0x7ff0;  // numbers from here on are no domains
    static constexpr u64 note_after = 5 * ns_per_s, longest_wait = 60 * ns_per_s;
    // For a card to connect, at boot; a program should not have to wait for one.
    static constexpr u64 longest_card_wait = 2 * ns_per_s;

    // In the thread of watches, after the backend's state has changed, or another node that is watched.
    using listener = void (*)(void* of);

    // `kind` ("vbd", "vif") outlives it.
    front(std::string_view kind, listener changed, void* of)
        : _kind(kind), _changed(changed), _of(of) {}
    ~front() { stop_watching(); }
    // The listener is not running afterwards, and runs no more.
    void stop_watching();

    // Finds the backend and brings both halves to where it waits for us, whoever used the device
    // before; waits for each step of the backend's for no longer than `limit`.
    result<void> open(std::string_view id, u64 limit = longest_wait);
    // Once more, after close().
    result<void> begin(u64 limit = longest_wait);
    // Watches a node of the backend as its state is.
    result<void> watch_offer(std::string_view name);

    std::string_view kind() const { return _kind; }
    std::string_view id() const { return _id; }
    u16 backend_domain() const { return _domain; }

    // Nodes of ours, and of the backend. A number that is not there, or is none, is the default.
    result<string> own(std::string_view name) const;
    u64 own_number(std::string_view name, u64 otherwise) const;
    u64 offered(std::string_view name, u64 otherwise) const;

    // Writes nodes of ours, all at once. `body(writer&)`.
    class writer {
    public:
        writer(const front& of, u32 transaction) : _front(of), _transaction(transaction) {}
        // Below "queue-N" for the second kind.
        result<void> put(std::string_view name, u64 value);
        result<void> put_text(std::string_view name, std::string_view value);
        result<void> put_for_queue(u32 queue, std::string_view name, u64 value);

    private:
        const front& _front;
        u32 _transaction;
    };
    template <class Body>
    result<void> publish(Body body) {
        return xenstore::in_transaction([&](xenstore::transaction& by) -> result<void> {
            writer to(*this, by.id());
            return body(to);
        });
    }

    result<void> change_state(xenbus_state to);
    xenbus_state backend_state() const { return _backend_state.load(std::memory_order_acquire); }
    // Until the backend is connected. After `longest_wait`, or when it closes, an error and a sentence.
    result<void> wait_until_connected();
    // Until the backend is connected or never will be, for so long; says nothing.
    void give_time_to_connect(u64 limit);
    // It closes, or is gone.
    bool backend_closes() const { return backend_is(ends()); }
    // Ours says that it is closing and then closed, and the backend is given time to follow; false
    // when it did not.
    bool close(u64 limit = longest_wait);

private:
    using states = u32;  // a bit each
    static constexpr states bit(xenbus_state state) { return states{1} << static_cast<u32>(state); }
    static constexpr states ends() {
        return bit(xenbus_state::unknown) | bit(xenbus_state::closing) | bit(xenbus_state::closed);
    }
    static void on_change(void* of, std::string_view changed);

    result<string> path(std::string_view name) const { return xenstore::join(_path, name); }
    result<void> find_backend();
    void look_at_backend();
    bool backend_is(states any) const { return (bit(backend_state()) & any) != 0; }
    result<void> wait_for_offer(states hopeless, u64 limit);
    result<void> wait_for(states wanted, states hopeless, std::string_view what, u64 limit);
    void say_waiting(std::string_view what, u64 waited, bool in_vain) const;

    std::string_view _kind;
    listener _changed;
    void* _of;
    string _id;
    string _path;
    string _backend;
    u16 _domain = 0;
    std::atomic<xenbus_state> _backend_state{xenbus_state::unknown};
    wait_queue _state_changes;
    u32 _watches[2]{};
    u32 _watch_count = 0;
};

}  // namespace kiln::xen
