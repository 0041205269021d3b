#include "fs/inotify.hh"

#include <algorithm>

#include "core/wait_queue.hh"
#include "fs/dentry.hh"
#include "lib/format.hh"
#include "lib/list.hh"

namespace kiln {
namespace {

constexpr usize most_queued = 16384;

// struct inotify_event of the Linux ABI, before the name.
struct event_header {
    i32 watch;
    u32 mask;
    u32 cookie;
    u32 length;
};

struct queued_event {
    event_header header;
    string name;
    list_node link;
};

struct inotify_watch : noncopyable {
    inotify_watch(inotify_file& instance, inode& watched, u32 wanted)
        : owner(&instance), target(&watched), mask(wanted) {}

    inotify_file* owner;
    ref<inode> target;
    i32 number = 0;
    u32 mask;
    list_node of_inode;
    list_node of_instance;
};

constinit mutex watch_lock;
constinit std::atomic<u32> watch_count{0};
constinit std::atomic<u32> next_cookie{1};

}  // namespace

class inotify_file final : public file {
public:
    explicit inotify_file(u32 flags) : file(flags) {}
    ~inotify_file() override;

    result<usize> read(io_vector& to, u64& position) override;
    result<u64> seek(i64, int) override { return u64{0}; }
    u32 poll_events() override { return _queued != 0 ? poll_event::in | poll_event::rdnorm : 0; }
    wait_queue* poll_queue() override { return &_waiters; }
    result<usize> describe(std::span<char> to) override {
        return format_to(to, "anon_inode:inotify");
    }
    result<i64> ioctl(u32 command, u64 argument) override;
    inotify_file* as_inotify() override { return this; }
    bool can_signal() const override { return true; }

    void put(i32 watch, u32 mask, u32 cookie, std::string_view name);

    list<inotify_watch, &inotify_watch::of_instance> watches;
    i32 next_watch = 1;

private:
    static usize size_of(const queued_event& event) {
        return sizeof(event_header) + event.header.length;
    }

    mutex _lock;
    list<queued_event, &queued_event::link> _events;
    std::atomic<usize> _queued{0};
    wait_queue _waiters;
};

class inotify_list : noncopyable {
public:
    list<inotify_watch, &inotify_watch::of_inode> watches;
};

namespace {

// watch_lock is held. The reference to the inode is handed to the caller, to be dropped after it.
void unlist(inotify_watch& watch) {
    watch.of_inode.unlink();
    watch.of_instance.unlink();
    watch_count.fetch_sub(1);
}

}  // namespace

inotify_file::~inotify_file() {
    while (true) {
        inotify_watch* one = nullptr;
        {
            lock_guard guard(watch_lock);
            one = watches.front();
            if (one == nullptr) {
                break;
            }
            unlist(*one);
        }
        delete one;
    }
    while (queued_event* event = _events.pop_front()) {
        delete event;
    }
}

void inotify_file::put(i32 watch, u32 mask, u32 cookie, std::string_view name) {
    {
        lock_guard guard(_lock);
        if (_queued >= most_queued) {
            return;
        }
        const bool last = _queued == most_queued - 1;
        queued_event* const newest = _events.back();
        if (newest != nullptr && newest->header.watch == watch && newest->header.mask == mask &&
            newest->header.cookie == cookie && newest->name.view() == name) {
            return;  // the same again, not yet read
        }
        auto* event = new (std::nothrow) queued_event;
        if (event == nullptr) {
            return;
        }
        event->header = {watch, mask, cookie, 0};
        if (last) {
            event->header = {-1, inotify_event_bit::overflow, 0, 0};
        } else if (!name.empty() && event->name.append(name).ok()) {
            event->header.length =
                static_cast<u32>(align_up(name.size() + 1, sizeof(event_header)));
        }
        _events.push_back(*event);
        ++_queued;
    }
    _waiters.wake(poll_event::in | poll_event::rdnorm);
}

result<usize> inotify_file::read(io_vector& to, u64&) {
    usize done = 0;
    while (true) {
        {
            lock_guard guard(_lock);
            while (queued_event* event = _events.front()) {
                if (to.remaining() < size_of(*event)) {
                    return done != 0 ? result<usize>(done) : err::inval;
                }
                TRY(to.put(&event->header, sizeof(event->header)));
                if (event->header.length != 0) {
                    TRY(to.put(event->name.c_str(), event->name.size()));
                    TRY(to.put_zeros(event->header.length - event->name.size()));
                }
                done += size_of(*event);
                _events.remove(*event);
                --_queued;
                delete event;
            }
        }
        if (done != 0) {
            return done;
        }
        if (nonblocking()) {
            return err::again;
        }
        result<void> waited = wait_until(_waiters, [this] { return _queued != 0; });
        if (!waited.ok()) {
            return waited.error() == err::intr ? err::restart_sys : waited.error();
        }
    }
}

result<i64> inotify_file::ioctl(u32 command, u64 argument) {
    constexpr u32 bytes_to_read = 0x541b;  // FIONREAD
    if (command != bytes_to_read) {
        return err::notty;
    }
    usize bytes = 0;
    {
        lock_guard guard(_lock);
        for (queued_event& event : _events) {
            bytes += size_of(event);
        }
    }
    TRY(user_ptr<i32>(argument).write(static_cast<i32>(bytes)));
    return 0;
}

namespace {

result<inotify_list*> list_of(inode& target) {
    if (inotify_list* known = target.watches.load()) {
        return known;
    }
    auto* made = new (std::nothrow) inotify_list;
    if (made == nullptr) {
        return err::nomem;
    }
    target.watches.store(made);
    return made;
}

inotify_watch* find_watch(inotify_file& instance, const inode& target) {
    for (inotify_watch& watch : instance.watches) {
        if (watch.target == &target) {
            return &watch;
        }
    }
    return nullptr;
}

}  // namespace

void notify_inode(inode& target, u32 events, std::string_view name, u32 cookie) {
    if (watch_count.load(std::memory_order_relaxed) == 0 || target.watches.load() == nullptr) {
        return;
    }
    lock_guard guard(watch_lock);
    for (inotify_watch& watch : target.watches.load()->watches) {
        if ((watch.mask & events & inotify_event_bit::all) != 0) {
            watch.owner->put(watch.number, events, cookie, name);
        }
    }
}

void notify_entry(dentry& entry, u32 events) {
    if (watch_count.load(std::memory_order_relaxed) == 0) {
        return;
    }
    const u32 kind = entry.target()->is_directory() ? inotify_event_bit::directory : 0;
    notify_inode(*entry.target(), events | kind);
    ref<dentry> parent = entry.parent();
    if (parent && !entry.removed() && parent->target()->watches.load() != nullptr) {
        result<string> name = entry.name();
        if (name.ok()) {
            notify_inode(*parent->target(), events | kind, name.value());
        }
    }
}

u32 next_inotify_cookie() {
    return next_cookie.fetch_add(1, std::memory_order_relaxed);
}

void free_inotify_list(inotify_list* watches) {
    delete watches;
}

result<ref<file>> make_inotify(u32 flags) {
    return TRY(make_ref<inotify_file>(open_flag::rdonly | (flags & open_flag::nonblock)));
}

result<int> inotify_add(file& instance, dentry& target, u32 mask) {
    inotify_file* const opened = instance.as_inotify();
    if (opened == nullptr) {
        return err::inval;
    }
    inotify_file& owner = *opened;
    if ((mask & inotify_event_bit::all) == 0) {
        return err::inval;
    }
    inode& watched = *target.target();
    if ((mask & inotify_event_bit::only_directory) != 0 && !watched.is_directory()) {
        return err::notdir;
    }
    auto made = TRY(make_unique<inotify_watch>(owner, watched, mask));
    lock_guard guard(watch_lock);
    if (inotify_watch* known = find_watch(owner, watched)) {
        if ((mask & inotify_event_bit::mask_create) != 0) {
            return err::exist;
        }
        known->mask = (mask & inotify_event_bit::mask_add) != 0 ? known->mask | mask : mask;
        return known->number;
    }
    inotify_list* const list = TRY(list_of(watched));
    inotify_watch& watch = *made.leak();
    watch.number = owner.next_watch++;
    list->watches.push_back(watch);
    owner.watches.push_back(watch);
    watch_count.fetch_add(1);
    return watch.number;
}

result<void> inotify_remove(file& instance, int number) {
    inotify_file* const opened = instance.as_inotify();
    if (opened == nullptr) {
        return err::inval;
    }
    inotify_file& owner = *opened;
    inotify_watch* found = nullptr;
    {
        lock_guard guard(watch_lock);
        for (inotify_watch& watch : owner.watches) {
            if (watch.number == number) {
                found = &watch;
            }
        }
        if (found == nullptr) {
            return err::inval;
        }
        unlist(*found);
    }
    delete found;
    owner.put(number, inotify_event_bit::ignored, 0, {});
    return {};
}

}  // namespace kiln
