// The conversation with the host's store over one page (Xen public io/xs_wire.h,
// docs/misc/xenstore.txt and xenstore-ring.txt). xenstore.hh is what others see of it.
//
// Requests of several threads are under way at once, told apart by number. A thread of its own takes
// what the host says: answers go to who waits for their number, changes of watched paths to a queue
// that another thread empties into handlers. What breaks the protocol (lengths, counters of the ring)
// ends the conversation, with a sentence: where the next message begins is not known then.
//
// Locks: `_sending` (one message at a time on the ring) before `_lock` (the tables).
// Context: threads; on_event: any.
#pragma once

#include "core/mutex.hh"
#include "core/thread.hh"
#include "drivers/xen/byte_ring.hh"
#include "drivers/xen/xenstore.hh"

namespace kiln::xen {

// struct xenstore_domain_interface.
struct store_page {
    static constexpr u32 ring_size = 1024;

    char requests[ring_size];
    char answers[ring_size];
    std::atomic<u32> request_consumed, request_produced;
    std::atomic<u32> answer_consumed, answer_produced;
    std::atomic<u32> features, connection, error;
};

enum class store_message : u32 {
    list = 1, read = 2, watch = 4, unwatch = 5, transaction_start = 6, transaction_end = 7, write = 11,
    remove = 13, watch_event = 15, error = 16,
};

// struct xsd_sockmsg.
struct store_header {
    store_message type;
    u32 request;
    u32 transaction;
    u32 size;
};
static_assert(sizeof(store_header) == 16);

class store_client {
public:
    // How the host learns that the ring has changed.
    using notify_function = void (*)(void* of);

    constexpr store_client() = default;

    // Starts the threads. Once; the page stays for ever.
    result<void> start(store_page& page, notify_function notify, void* of);
    // The host has changed the ring. Context: any.
    void on_event() { _ring_changed.wake_all(); }
    bool works() const { return _page != nullptr && !_broken.load(std::memory_order_acquire); }
    // How long the host may take to answer.
    void set_limit(u64 ns) { _limit = ns; }

    // The answer to a message of these pieces, one after the other.
    result<string> request(store_message type, std::span<const std::string_view> pieces,
                           u32 transaction = 0);

    result<u32> watch(std::string_view path, xenstore::watch_handler handler, void* of);
    void unwatch(u32 number);

private:
    struct waiting_request {
        u32 number = 0;
        std::atomic<bool> done{false};
        store_message type{};
        result<string> body{err::io};
        wait_queue answered;
    };
    struct watch_record {
        u32 number = 0;
        string path;
        xenstore::watch_handler handler = nullptr;
        void* of = nullptr;
    };
    struct change {
        u32 number = 0;
        string path;
    };

    byte_ring<store_page::ring_size> requests() const;
    byte_ring<store_page::ring_size> answers() const;

    u32 enter(waiting_request& mine);
    void leave(waiting_request& mine);
    result<void> send(const store_header& header, std::span<const std::string_view> pieces);
    result<void> send_bytes(std::string_view bytes, u64 deadline, bool& begun);
    result<string> outcome_of(waiting_request& answered, store_message sent);

    static void receive_for_ever(void* self);
    result<void> receive_bytes(std::span<char> to);
    result<void> receive_message();
    void take_answer(const store_header& header, string body);
    void take_change(std::string_view body);
    void note_change(u32 number, std::string_view path);
    void give_up(std::string_view why);

    static void deliver_for_ever(void* self);
    bool has_changes();
    void deliver_next();
    void deliver_all();
    void call_handler(u32 number, std::string_view path);
    watch_record* find_watch(u32 number);
    unique<watch_record> take_watch(u32 number);
    result<void> tell_of_watch(store_message type, const watch_record& record);

    store_page* _page = nullptr;
    notify_function _notify = nullptr;
    void* _notify_of = nullptr;
    u64 _limit = xenstore::request_limit;
    std::atomic<bool> _broken{false};
    wait_queue _ring_changed;
    mutex _sending;

    mutex _lock;
    vector<waiting_request*> _waiting;
    u32 _last_request = 0;
    vector<unique<watch_record>> _watches;
    u32 _last_watch = 0;
    vector<unique<change>> _changes;
    bool _changes_lost = false;  // more than the queue holds: all watches are told
    u32 _handled_watch = 0;      // whose handler runs
    thread* _deliverer = nullptr;
    wait_queue _changed;
    wait_queue _handled;
    char _body[xenstore::largest_payload]{};  // of the message that arrives
    char _path[xenstore::longest_path]{};     // of the watch that is told without a change
};

}  // namespace kiln::xen
