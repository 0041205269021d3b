#include "fs/epoll.hh"

#include "lib/format.hh"

namespace kiln {
namespace {

constexpr u32 flag_edge = 1u << 31, flag_one_shot = 1u << 30, flag_wake_up = 1u << 29,
              flag_exclusive = 1u << 28;
constexpr u32 private_flags = flag_edge | flag_one_shot | flag_wake_up | flag_exclusive;
constexpr u32 always_reported = poll_event::error | poll_event::hangup;
// What may stand beside EPOLLEXCLUSIVE (epoll_ctl(2)).
constexpr u32 allowed_with_exclusive =
    poll_event::in | poll_event::out | always_reported | flag_wake_up | flag_edge | flag_exclusive;
// Epolls may watch epolls this deep.
constexpr u32 max_nesting = 4;

constinit mutex global_lock;

}  // namespace

epoll_item::epoll_item(epoll_file& epoll, file& target, int descriptor, const epoll_event& wanted)
    : wait_entry(&epoll_file::on_wake),
      owner(epoll),
      watched(target),
      fd(descriptor),
      event(wanted) {
    exclusive = (wanted.events & flag_exclusive) != 0;
}

namespace {

u32 wanted_events(const epoll_item& item) {
    return item.event.events & ~private_flags;
}

// A one-shot item that has fired keeps only its flags.
bool disabled(const epoll_item& item) {
    return wanted_events(item) == 0;
}

u32 ready_events(epoll_item& item) {
    return disabled(item) ? 0 : item.watched.poll_events() & wanted_events(item);
}

}  // namespace

epoll_file::~epoll_file() {
    lock_guard global(global_lock);
    lock_guard guard(_lock);
    while (epoll_item* item = _items.first()) {
        destroy(*item);
    }
}

bool epoll_file::on_wake(wait_entry& entry, u32 events) {
    auto& item = static_cast<epoll_item&>(entry);
    if (disabled(item) || (events & (wanted_events(item) | poll_event::unseen)) == 0) {
        return false;
    }
    const bool somebody_waits = item.owner._waiters.has_waiters();
    item.owner.enlist(item, (events & wanted_events(item)) == 0);
    return somebody_waits;
}

void epoll_file::enlist(epoll_item& item, bool unseen) {
    {
        irq_guard guard(_ready_lock);
        item.unseen = unseen && (item.unseen || !item.listed);
        if (!item.listed) {
            item.listed = true;
            _ready.push_back(item);
        }
    }
    _waiters.wake(poll_event::in | poll_event::rdnorm);
}

epoll_item* epoll_file::find(const file& watched, int fd) const {
    epoll_item* found = _items.lower_bound([&](const epoll_item& item) {
        return &item.watched != &watched ? &item.watched > &watched : item.fd >= fd;
    });
    return found != nullptr && &found->watched == &watched && found->fd == fd ? found : nullptr;
}

void epoll_file::destroy(epoll_item& item) {
    if (wait_queue* queue = item.watched.poll_queue()) {
        queue->remove(item);
    }
    {
        irq_guard guard(_ready_lock);
        if (item.listed) {
            ready_list::remove(item);
        }
    }
    _items.remove(item);
    item.file_link.unlink();
    delete &item;
}

// Depth-limited, so that the recursion is.
bool epoll_file::reaches(const epoll_file& target, u32 depth) const {
    if (this == &target || depth > max_nesting) {
        return true;
    }
    for (epoll_item* item = _items.first(); item != nullptr; item = _items.next(*item)) {
        const epoll_file* inner = item->watched.as_epoll();
        if (inner != nullptr && inner->reaches(target, depth + 1)) {
            return true;
        }
    }
    return false;
}

result<void> epoll_file::add(file& watched, int fd, const epoll_event& event) {
    const bool exclusive = (event.events & flag_exclusive) != 0;
    const epoll_file* inner = watched.as_epoll();
    if (exclusive && (inner != nullptr || (event.events & ~allowed_with_exclusive) != 0)) {
        return err::inval;
    }
    epoll_event wanted = event;
    wanted.events |= always_reported;
    auto item = TRY(make_unique<epoll_item>(*this, watched, fd, wanted));
    lock_guard global(global_lock);
    if (inner != nullptr && inner->reaches(*this, 0)) {
        return err::loop;
    }
    lock_guard guard(_lock);
    if (find(watched, fd) != nullptr) {
        return err::exist;
    }
    epoll_item& added = *item.leak();
    watched._watched.store(true, std::memory_order_release);
    watched._epoll_items.push_back(added);
    _items.insert(added);
    if (wait_queue* queue = watched.poll_queue()) {
        queue->add(added);
    }
    if (ready_events(added) != 0) {
        enlist(added);
    }
    return {};
}

result<void> epoll_file::modify(file& watched, int fd, const epoll_event& event) {
    if ((event.events & flag_exclusive) != 0) {
        return err::inval;
    }
    lock_guard guard(_lock);
    epoll_item* item = find(watched, fd);
    if (item == nullptr) {
        return err::noent;
    }
    if (item->exclusive) {
        return err::inval;
    }
    item->event.data = event.data;
    item->event.events = event.events | always_reported;
    // A wake-up after this store sees the new mask; one before it is found by asking the file.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (ready_events(*item) != 0) {
        enlist(*item);
    }
    return {};
}

result<void> epoll_file::remove(file& watched, int fd) {
    lock_guard global(global_lock);
    lock_guard guard(_lock);
    epoll_item* item = find(watched, fd);
    if (item == nullptr) {
        return err::noent;
    }
    destroy(*item);
    return {};
}

bool epoll_file::has_ready() {
    irq_guard guard(_ready_lock);
    return !_ready.empty();
}

// Whether the item has been listed for an edge since it was taken; if so it is taken again.
bool epoll_file::take_edge(epoll_item& item) {
    irq_guard guard(_ready_lock);
    if (!item.listed || item.unseen) {
        return false;
    }
    ready_list::remove(item);
    item.listed = false;
    return true;
}

// Takes the whole list first: what is woken meanwhile goes to the new one, so nothing is reported
// twice in one call and no wake-up between asking the file and the next scan is lost.
usize epoll_file::scan(epoll_sink& sink, usize limit) {
    lock_guard guard(_lock);
    ready_list taken, again;
    {
        irq_guard ready_guard(_ready_lock);
        taken.splice_back(_ready);
    }
    usize count = 0;
    bool room = true;
    while (room && count < limit) {
        epoll_item* item = nullptr;
        bool unseen = false;
        {
            irq_guard ready_guard(_ready_lock);
            item = taken.pop_front();
            if (item == nullptr) {
                break;
            }
            item->listed = false;
            unseen = std::exchange(item->unseen, false);
        }
        const u32 events = ready_events(*item);
        const bool level = (item->event.events & (flag_edge | flag_one_shot)) == 0;
        // What has come is no edge by itself: having looked, the file has listed the item if it is.
        if (events == 0 || (unseen && !level && !take_edge(*item))) {
            continue;
        }
        room = sink.put({events, item->event.data});
        if (!room || level) {
            irq_guard ready_guard(_ready_lock);
            if (!item->listed) {
                item->listed = true;
                again.push_back(*item);
            }
        } else if ((item->event.events & flag_one_shot) != 0) {
            item->event.events &= private_flags;
        }
        count += room ? 1 : 0;
    }
    bool more = false;
    {
        irq_guard ready_guard(_ready_lock);
        // Not yet looked at goes first, then what came meanwhile, then what was just reported.
        taken.splice_back(_ready);
        taken.splice_back(again);
        _ready.splice_back(taken);
        more = !_ready.empty();
    }
    if (more) {
        _waiters.wake(poll_event::in | poll_event::rdnorm);
    }
    return room || count != 0 ? count : ~usize{0};
}

result<usize> epoll_file::wait(epoll_sink& sink, usize limit, u64 deadline) {
    while (true) {
        if (has_ready()) {
            const usize count = scan(sink, limit);
            if (count == ~usize{0}) {
                return err::fault;
            }
            if (count != 0) {
                return count;
            }
        }
        if (deadline == 0) {
            return usize{0};  // asked without waiting, as event loops do between their other work
        }
        const auto outcome = wait_until(
            _waiters, [this] { return has_ready(); }, deadline, wait_mode::interruptible, true);
        if (!outcome.ok()) {
            if (outcome.error() == err::timedout) {
                return usize{0};
            }
            return outcome.error();
        }
    }
}

u32 epoll_file::poll_events() {
    lock_guard guard(_lock);
    ready_list taken;
    {
        irq_guard ready_guard(_ready_lock);
        taken.splice_back(_ready);
    }
    bool ready = false;
    while (!ready) {
        epoll_item* item = nullptr;
        {
            irq_guard ready_guard(_ready_lock);
            item = taken.pop_front();
            if (item == nullptr) {
                break;
            }
            item->listed = false;
        }
        ready = ready_events(*item) != 0;
        if (ready) {
            irq_guard ready_guard(_ready_lock);
            if (!item->listed) {
                item->listed = true;
                _ready.push_front(*item);
            }
        }
    }
    irq_guard ready_guard(_ready_lock);
    taken.splice_back(_ready);
    _ready.splice_back(taken);
    return ready ? poll_event::in | poll_event::rdnorm : 0;
}

result<usize> epoll_file::describe(std::span<char> to) {
    return format_to(to, "anon_inode:[eventpoll]");
}

void detach_from_epolls(file& dying) {
    lock_guard global(global_lock);
    while (epoll_item_base* base = dying._epoll_items.front()) {
        auto& item = static_cast<epoll_item&>(*base);
        lock_guard guard(item.owner._lock);
        item.owner.destroy(item);
    }
}

}  // namespace kiln
