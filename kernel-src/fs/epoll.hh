// epoll: interest in many files, and a list of those that may be ready.
//
// An item hangs on its file's poll queue; a wake-up puts it on the ready list. epoll_wait asks each
// listed file what really holds. Items hold no reference: a file detaches itself before it dies.
// Locks: one global lock (adding, removing, dying files) → epoll_file::_lock (items, scanning) →
// whatever a file's poll_events takes. _ready_lock is innermost and taken in wake-ups. Nested
// epolls form no loop, so their locks are taken outer first.
#pragma once

#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "fs/file.hh"
#include "lib/tree.hh"

namespace kiln {

// struct epoll_event of the Linux ABI.
struct [[gnu::packed]] epoll_event {
    u32 events;
    u64 data;
};

class epoll_file;

struct epoll_item : epoll_item_base, wait_entry {
    epoll_item(epoll_file& epoll, file& target, int descriptor, const epoll_event& wanted);

    epoll_file& owner;
    file& watched;
    const int fd;
    epoll_event event;
    bool listed = false;  // on a ready list; owner's _ready_lock
    bool unseen = false;  // listed only so that the file looks at what has come; the same lock
    list_node ready_link;
    tree_node node;
};

class epoll_sink {
public:
    // False when it could not be stored.
    virtual bool put(const epoll_event& event) = 0;

protected:
    ~epoll_sink() = default;
};

class epoll_file final : public file {
public:
    explicit epoll_file() : file(open_flag::rdwr) {}
    ~epoll_file() override;

    result<void> add(file& watched, int fd, const epoll_event& event);
    result<void> modify(file& watched, int fd, const epoll_event& event);
    result<void> remove(file& watched, int fd);

    // Waits until something is ready or the deadline; how many events were put. Zero at the
    // deadline.
    result<usize> wait(epoll_sink& sink, usize limit, u64 deadline);

    result<u64> seek(i64, int) override { return u64{0}; }
    u32 poll_events() override;
    wait_queue* poll_queue() override { return &_waiters; }
    result<usize> describe(std::span<char> to) override;
    epoll_file* as_epoll() override { return this; }

private:
    friend struct epoll_item;
    friend void detach_from_epolls(file&);

    struct by_target {
        bool operator()(const epoll_item& left, const epoll_item& right) const {
            return &left.watched != &right.watched ? &left.watched < &right.watched
                                                   : left.fd < right.fd;
        }
    };
    using ready_list = list<epoll_item, &epoll_item::ready_link>;

    epoll_item* find(const file& watched, int fd) const;
    void destroy(epoll_item& item);
    void enlist(epoll_item& item, bool unseen = false);
    bool has_ready();
    usize scan(epoll_sink& sink, usize limit);
    bool take_edge(epoll_item& item);
    bool reaches(const epoll_file& target, u32 depth) const;
    static bool on_wake(wait_entry& entry, u32 events);

    mutex _lock;
    irq_spinlock _ready_lock;
    wait_queue _waiters;
    ready_list _ready;
    tree<epoll_item, &epoll_item::node, by_target> _items;
};

// Ends all epoll interest in a file whose last reference has gone.
void detach_from_epolls(file& dying);

}  // namespace kiln
