// Waiting for many descriptors: poll, select and their variants, epoll.
#include <algorithm>

#include "fs/epoll.hh"
#include "lib/vector.hh"
#include "linux/descriptors.hh"
#include "linux/signal.hh"
#include "linux/syscall.hh"
#include "linux/time_values.hh"

namespace kiln {
namespace {

// A file that is polled, and how its queue wakes the poller.
struct polled : noncopyable {
    struct waker : wait_entry {
        waker() : wait_entry(&on_wake) {}
        static bool on_wake(wait_entry& entry, u32 events);
        polled* owner = nullptr;
    };

    ref<file> open;
    i32 fd = -1;
    u32 wanted = 0;
    u32 found = 0;
    wait_queue* queue = nullptr;
    waker entry;
    class poll_set* set = nullptr;
};

// Descriptors and the wait for any of them. Entries do not move while they are queued; there may be
// as many as a process may have files, so they lie in blocks of about a page.
class poll_set : noncopyable {
public:
    explicit poll_set() : _thread(current_thread()) {}
    ~poll_set() {
        leave_queues();
        free_blocks();
    }

    result<polled*> add();

    // `act(polled&)` on each, in the order they were added.
    template <class Act>
    void for_each(Act act) {
        for (usize at = 0; at < std::min(_count, inline_count); ++at) {
            act(_inline[at]);
        }
        for (block* each = _first; each != nullptr; each = each->next) {
            for (usize at = 0; at < each->count; ++at) {
                act(each->items[at]);
            }
        }
    }

    // How many are ready; 0 at the deadline, err::intr when a signal came first.
    result<usize> wait(u64 deadline);
    void wake() {
        _woken.store(true, std::memory_order_release);
        unpark(_thread);
    }

private:
    static constexpr usize inline_count = 8;

    struct block {
        static constexpr usize capacity = 4000 / sizeof(polled);
        block* next = nullptr;
        usize count = 0;
        polled items[capacity];
    };

    usize scan();
    void join_queues();
    void leave_queues();
    void free_blocks();

    thread& _thread;
    polled _inline[inline_count];
    block* _first = nullptr;
    block* _last = nullptr;
    usize _count = 0;
    bool _joined = false;
    std::atomic<bool> _woken{false};
};

result<polled*> poll_set::add() {
    if (_count < inline_count) {
        return &_inline[_count++];
    }
    if (_last == nullptr || _last->count == block::capacity) {
        block* const fresh = new (std::nothrow) block;
        if (fresh == nullptr) {
            return err::nomem;
        }
        (_last == nullptr ? _first : _last->next) = fresh;
        _last = fresh;
    }
    ++_count;
    return &_last->items[_last->count++];
}

void poll_set::free_blocks() {
    while (block* const gone = _first) {
        _first = gone->next;
        delete gone;
    }
}

bool polled::waker::on_wake(wait_entry& entry, u32 events) {
    polled& item = *static_cast<waker&>(entry).owner;
    if ((events & (item.wanted | poll_event::unseen)) == 0) {
        return false;
    }
    item.set->wake();
    return true;
}

usize poll_set::scan() {
    usize ready = 0;
    for_each([&ready](polled& item) {
        if (item.open) {
            item.found = item.open->poll_events() & item.wanted;
        }
        ready += item.found != 0 ? 1 : 0;
    });
    return ready;
}

void poll_set::join_queues() {
    _joined = true;
    for_each([this](polled& item) {
        if (item.open && (item.queue = item.open->poll_queue()) != nullptr) {
            item.set = this;
            item.entry.owner = &item;
            item.queue->add(item.entry);
        }
    });
}

void poll_set::leave_queues() {
    for_each([](polled& item) {
        if (item.queue != nullptr) {
            item.queue->remove(item.entry);
        }
    });
}

result<usize> poll_set::wait(u64 deadline) {
    while (true) {
        const usize ready = scan();
        if (ready != 0) {
            return ready;
        }
        if (deadline == 0 || (deadline != never && now() >= deadline)) {
            return usize{0};
        }
        if (!_joined) {
            join_queues();
            continue;
        }
        while (!_woken.exchange(false, std::memory_order_acquire)) {
            if (interrupted()) {
                return err::intr;
            }
            if (deadline != never && now() >= deadline) {
                break;
            }
            park_interruptible(deadline);
        }
    }
}

// --- poll ---

struct user_pollfd {
    i32 fd;
    i16 events;
    i16 found;
};

constexpr u32 always_reported = poll_event::error | poll_event::hangup;

result<void> add_polled(poll_set& set, const user_pollfd& wanted) {
    polled& item = *TRY(set.add());
    item.fd = wanted.fd;
    item.wanted = static_cast<u16>(wanted.events) | always_reported;
    if (wanted.fd < 0) {
        return {};
    }
    result<ref<file>> open = get_file(wanted.fd);
    if (!open.ok() || (open.value()->flags() & open_flag::path) != 0) {
        item.found = poll_event::invalid;
    } else {
        item.open = open.take();
    }
    return {};
}

result<void> fill_poll_set(poll_set& set, u64 address, u32 count) {
    user_pollfd some[16];
    for (u32 done = 0; done < count;) {
        const u32 part = std::min(count - done, static_cast<u32>(std::size(some)));
        TRY(copy_from_user(some, address + done * sizeof(user_pollfd), part * sizeof(user_pollfd)));
        for (u32 at = 0; at < part; ++at) {
            TRY(add_polled(set, some[at]));
        }
        done += part;
    }
    return {};
}

// Only what was found is written, as on Linux.
result<void> tell_found(poll_set& set, u64 address) {
    bool all = true;
    u64 at = address + offsetof(user_pollfd, found);
    set.for_each([&](const polled& item) {
        all = user_ptr<i16>(at).write(static_cast<i16>(item.found)).ok() && all;
        at += sizeof(user_pollfd);
    });
    return all ? result<void>() : err::fault;
}

result<i64> poll_descriptors(u64 address, u32 count, u64 deadline) {
    if (count > descriptors::limit()) {
        return err::inval;
    }
    poll_set set;
    TRY(fill_poll_set(set, address, count));
    const usize ready = TRY(set.wait(deadline));
    TRY(tell_found(set, address));
    return static_cast<i64>(ready);
}

// An interrupted call is started again only when no handler ran.
result<i64> not_after_handlers(result<i64> outcome) {
    return !outcome.ok() && outcome.error() == err::intr ? result<i64>(err::restart_nohand)
                                                         : std::move(outcome);
}

result<u64> deadline_from(u64 timespec_address) {
    if (timespec_address == 0) {
        return never;
    }
    const u64 duration = TRY(read_duration(timespec_address));
    return duration == 0 ? 0 : deadline_after(duration);
}

// Linux tells what is left of the time. That it cannot be told is no error.
void tell_time_left(u64 timespec_address, u64 deadline) {
    if (timespec_address != 0) {
        const u64 time = now();
        const u64 left = deadline > time && deadline != 0 ? deadline - time : 0;
        static_cast<void>(user_ptr<user_timespec>(timespec_address).write(to_timespec(left)));
    }
}

}  // namespace

SYSCALL(poll, u64 fds, u32 count, i32 milliseconds) {
    const u64 deadline = milliseconds < 0 ? never
                         : milliseconds == 0
                             ? 0
                             : deadline_after(static_cast<u64>(milliseconds) * ns_per_ms);
    return not_after_handlers(poll_descriptors(fds, count, deadline));
}

SYSCALL(ppoll, u64 fds, u32 count, u64 timeout, u64 mask_address, u64 mask_size) {
    const u64 deadline = TRY(deadline_from(timeout));
    temporary_signal_mask mask;
    TRY(mask.set_from_user(mask_address, mask_size));
    result<i64> outcome = not_after_handlers(poll_descriptors(fds, count, deadline));
    tell_time_left(timeout, deadline);
    return mask.finish(std::move(outcome));
}

// --- select ---

namespace {

constexpr u32 select_in = poll_event::in | poll_event::rdnorm | poll_event::rdband |
                          poll_event::hangup | poll_event::error;
constexpr u32 select_out =
    poll_event::out | poll_event::wrnorm | poll_event::wrband | poll_event::error;
constexpr u32 select_except = poll_event::pri;
constexpr u32 select_events[3] = {select_in, select_out, select_except};

// The three sets, one after the other.
struct bit_sets {
    vector<u64> words;
    usize per_set = 0;

    bool test(u32 set, u32 fd) const {
        return (words[set * per_set + fd / 64] >> (fd % 64) & 1) != 0;
    }
    void put(u32 set, u32 fd) { words[set * per_set + fd / 64] |= u64{1} << (fd % 64); }
};

result<void> read_sets(bit_sets& sets, u32 count, const u64 (&addresses)[3]) {
    sets.per_set = (count + 63) / 64;
    TRY(sets.words.resize(3 * sets.per_set));
    for (u32 set = 0; set < 3; ++set) {
        if (addresses[set] != 0) {
            TRY(copy_from_user(sets.words.data() + set * sets.per_set, addresses[set],
                               sets.per_set * 8));
        }
    }
    return {};
}

result<void> write_sets(const bit_sets& sets, const u64 (&addresses)[3]) {
    for (u32 set = 0; set < 3; ++set) {
        if (addresses[set] != 0) {
            TRY(copy_to_user(addresses[set], sets.words.data() + set * sets.per_set,
                             sets.per_set * 8));
        }
    }
    return {};
}

u32 events_wanted(const bit_sets& sets, u32 fd) {
    u32 wanted = 0;
    for (u32 set = 0; set < 3; ++set) {
        wanted |= sets.test(set, fd) ? select_events[set] : 0;
    }
    return wanted;
}

result<void> fill_from_sets(poll_set& set, const bit_sets& sets, u32 count) {
    for (u32 fd = 0; fd < count; ++fd) {
        const u32 wanted = events_wanted(sets, fd);
        if (wanted != 0) {
            ref<file> open = TRY(get_file(static_cast<int>(fd)));
            polled& item = *TRY(set.add());
            item.open = std::move(open);
            item.fd = static_cast<i32>(fd);
            item.wanted = wanted;
        }
    }
    return {};
}

result<i64> select_descriptors(i32 count, const u64 (&addresses)[3], u64 deadline) {
    if (count < 0) {
        return err::inval;
    }
    const u32 limit =
        std::min(static_cast<u32>(count), std::max(descriptors::slot_count(), u32{64}));
    bit_sets sets;
    TRY(read_sets(sets, limit, addresses));
    poll_set set;
    TRY(fill_from_sets(set, sets, limit));
    TRY(set.wait(deadline));
    bit_sets found;
    found.per_set = sets.per_set;
    TRY(found.words.resize(sets.words.size()));
    i64 bits = 0;
    set.for_each([&](const polled& item) {
        const u32 fd = static_cast<u32>(item.fd);
        for (u32 kind = 0; kind < 3; ++kind) {
            if (sets.test(kind, fd) && (item.found & select_events[kind]) != 0) {
                found.put(kind, fd);
                ++bits;
            }
        }
    });
    TRY(write_sets(found, addresses));
    return bits;
}

}  // namespace

SYSCALL(select, i32 count, u64 in, u64 out, u64 except, u64 timeout) {
    u64 deadline = never;
    if (timeout != 0) {
        const user_timeval given = TRY(user_ptr<user_timeval>(timeout).read());
        if (given.seconds < 0 || given.microseconds < 0) {
            return err::inval;
        }
        // Linux takes microseconds beyond a second, too.
        const user_timeval normal{given.seconds + given.microseconds / 1'000'000,
                                  given.microseconds % 1'000'000};
        const u64 duration = TRY(from_timeval(normal));
        deadline = duration == 0 ? 0 : deadline_after(duration);
    }
    result<i64> outcome =
        not_after_handlers(select_descriptors(count, {in, out, except}, deadline));
    if (timeout != 0) {
        const u64 time = now();
        static_cast<void>(user_ptr<user_timeval>(timeout).write(
            to_timeval(deadline > time && deadline != 0 ? deadline - time : 0)));
    }
    return outcome;
}

SYSCALL(pselect6, i32 count, u64 in, u64 out, u64 except, u64 timeout, u64 mask_address) {
    struct mask_argument {
        u64 address;
        u64 size;
    };
    const u64 deadline = TRY(deadline_from(timeout));
    temporary_signal_mask mask;
    if (mask_address != 0) {
        const mask_argument given = TRY(user_ptr<mask_argument>(mask_address).read());
        TRY(mask.set_from_user(given.address, given.size));
    }
    result<i64> outcome =
        not_after_handlers(select_descriptors(count, {in, out, except}, deadline));
    tell_time_left(timeout, deadline);
    return mask.finish(std::move(outcome));
}

// --- epoll ---

namespace {

class user_epoll_sink final : public epoll_sink {
public:
    explicit user_epoll_sink(u64 to) : _to(to) {}
    bool put(const epoll_event& event) override {
        if (!user_ptr<epoll_event>(_to).write(event).ok()) {
            return false;
        }
        _to += sizeof(event);
        return true;
    }

private:
    u64 _to;
};

result<i64> open_epoll(bool cloexec) {
    ref<file> made = TRY(make_ref<epoll_file>());
    return TRY(install_descriptor(std::move(made), cloexec));
}

result<i64> wait_for_events(int fd, u64 events, i32 limit, u64 deadline) {
    constexpr i32 most_events = 0x7fff'ffff / static_cast<i32>(sizeof(epoll_event));
    if (limit <= 0 || limit > most_events) {
        return err::inval;
    }
    if (events > user_end || user_end - events < static_cast<u64>(limit) * sizeof(epoll_event)) {
        return err::fault;
    }
    ref<file> open = TRY(get_file(fd));
    epoll_file* const epoll = open->as_epoll();
    if (epoll == nullptr) {
        return err::inval;
    }
    user_epoll_sink sink(events);
    return static_cast<i64>(TRY(epoll->wait(sink, static_cast<usize>(limit), deadline)));
}

u64 deadline_of_ms(i32 milliseconds) {
    return milliseconds < 0    ? never
           : milliseconds == 0 ? 0
                               : deadline_after(static_cast<u64>(milliseconds) * ns_per_ms);
}

}  // namespace

SYSCALL(epoll_create, i32 size) {
    return size <= 0 ? result<i64>(err::inval) : open_epoll(false);
}

SYSCALL(epoll_create1, u32 flags) {
    if ((flags & ~open_flag::cloexec) != 0) {
        return err::inval;
    }
    return open_epoll((flags & open_flag::cloexec) != 0);
}

SYSCALL(epoll_ctl, int epoll_fd, i32 operation, int fd, u64 event_address) {
    constexpr i32 add = 1, remove = 2, modify = 3;
    epoll_event event{};
    if (operation != remove) {
        event = TRY(user_ptr<epoll_event>(event_address).read());
    }
    ref<file> open = TRY(get_file(epoll_fd));
    ref<file> target = TRY(get_file(fd));
    if (!target->pollable() || (target->flags() & open_flag::path) != 0) {
        return (target->flags() & open_flag::path) != 0 ? err::badf : err::perm;
    }
    epoll_file* const epoll = open->as_epoll();
    if (epoll == nullptr || open == target) {
        return err::inval;
    }
    switch (operation) {
        case add: TRY(epoll->add(*target, fd, event)); return 0;
        case remove: TRY(epoll->remove(*target, fd)); return 0;
        case modify: TRY(epoll->modify(*target, fd, event)); return 0;
        default: return err::inval;
    }
}

SYSCALL(epoll_wait, int fd, u64 events, i32 limit, i32 milliseconds) {
    return wait_for_events(fd, events, limit, deadline_of_ms(milliseconds));
}

SYSCALL(epoll_pwait, int fd, u64 events, i32 limit, i32 milliseconds, u64 mask_address,
        u64 mask_size) {
    temporary_signal_mask mask;
    TRY(mask.set_from_user(mask_address, mask_size));
    return mask.finish(wait_for_events(fd, events, limit, deadline_of_ms(milliseconds)));
}

SYSCALL(epoll_pwait2, int fd, u64 events, i32 limit, u64 timeout, u64 mask_address, u64 mask_size) {
    const u64 deadline = TRY(deadline_from(timeout));
    temporary_signal_mask mask;
    TRY(mask.set_from_user(mask_address, mask_size));
    return mask.finish(wait_for_events(fd, events, limit, deadline));
}

}  // namespace kiln
