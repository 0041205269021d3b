#include "drivers/xen/store_client.hh"

#include <algorithm>

#include "core/log.hh"
#include "drivers/xen/store_text.hh"

namespace kiln::xen {
namespace {

// Changes that wait for their handlers; a host that makes more is told of once.
constexpr usize most_changes = 256;
constexpr usize most_watches = 1024;

std::string_view bytes_of(const store_header& header) {
    return {reinterpret_cast<const char*>(&header), sizeof(header)};
}

}  // namespace

byte_ring<store_page::ring_size> store_client::requests() const {
    return {_page->requests, _page->request_consumed, _page->request_produced};
}

byte_ring<store_page::ring_size> store_client::answers() const {
    return {_page->answers, _page->answer_consumed, _page->answer_produced};
}

// ---- requests ----

result<void> store_client::start(store_page& page, notify_function notify, void* of) {
    _page = &page;
    _notify = notify;
    _notify_of = of;
    TRY(start_kernel_thread("xenstore", receive_for_ever, this));
    TRY(start_kernel_thread("xenwatch", deliver_for_ever, this));
    return {};
}

u32 store_client::enter(waiting_request& mine) {
    lock_guard guard(_lock);
    if (!_waiting.push_back(&mine).ok()) {
        return 0;
    }
    _last_request = _last_request == ~u32{0} ? 1 : _last_request + 1;
    mine.number = _last_request;
    return mine.number;
}

void store_client::leave(waiting_request& mine) {
    lock_guard guard(_lock);
    for (usize i = 0; i < _waiting.size(); ++i) {
        if (_waiting[i] == &mine) {
            _waiting.erase(i);
            return;
        }
    }
}

result<void> store_client::send_bytes(std::string_view bytes, u64 deadline, bool& begun) {
    while (!bytes.empty()) {
        const usize sent = TRY(requests().put(bytes));
        bytes.remove_prefix(sent);
        begun = begun || sent != 0;
        _notify(_notify_of);
        const auto has_room = [this] {
            const result<u32> filled = requests().filled();
            return !works() || !filled.ok() || filled.value() < store_page::ring_size;
        };
        if (!bytes.empty()) {
            TRY(wait_until(_ring_changed, has_room, deadline, wait_mode::uninterruptible));
        }
        if (!works()) {
            return err::io;
        }
    }
    return {};
}

// A message that is begun must be sent whole, or nothing can be said any more.
result<void> store_client::send(const store_header& header, std::span<const std::string_view> pieces) {
    const u64 deadline = deadline_after(_limit);
    bool begun = false;
    lock_guard guard(_sending);
    result<void> outcome = works() ? send_bytes(bytes_of(header), deadline, begun) : err::io;
    for (usize i = 0; i < pieces.size() && outcome.ok(); ++i) {
        outcome = send_bytes(pieces[i], deadline, begun);
    }
    if (outcome.ok() || !works()) {
        return outcome;
    }
    if (outcome.error() != err::timedout) {
        give_up("the ring's counters are impossible");
    } else if (begun) {
        give_up("the host takes no requests");
    }
    return outcome;
}

result<string> store_client::outcome_of(waiting_request& answered, store_message sent) {
    if (!answered.body.ok()) {
        return answered.body.error();
    }
    if (answered.type == store_message::error) {
        return error_named(answered.body.value());
    }
    return answered.type == sent ? std::move(answered.body) : result<string>(err::proto);
}

result<string> store_client::request(store_message type, std::span<const std::string_view> pieces,
                                     u32 transaction) {
    usize size = 0;
    for (const std::string_view piece : pieces) {
        size += piece.size();
    }
    if (size > xenstore::largest_payload) {
        return err::too_big;
    }
    waiting_request mine;
    if (enter(mine) == 0) {
        return err::nomem;
    }
    result<void> outcome = send({type, mine.number, transaction, static_cast<u32>(size)}, pieces);
    if (outcome.ok()) {
        outcome = wait_until(
            mine.answered, [&mine] { return mine.done.load(std::memory_order_acquire); },
            deadline_after(_limit), wait_mode::uninterruptible);
    }
    leave(mine);
    if (!mine.done.load(std::memory_order_acquire)) {
        if (outcome.error() == err::timedout) {
            log_warning("xenstore: no answer within {} s to request {} of kind {}", _limit / ns_per_s,
                        mine.number, static_cast<u32>(type));
        }
        return outcome.error();
    }
    return outcome_of(mine, type);
}

// ---- what arrives ----

void store_client::receive_for_ever(void* argument) {
    auto& self = *static_cast<store_client*>(argument);
    while (self.receive_message().ok()) {
    }
}

result<void> store_client::receive_bytes(std::span<char> to) {
    const auto has_some = [this] {
        const result<u32> filled = answers().filled();
        return !works() || !filled.ok() || filled.value() != 0;
    };
    while (!to.empty()) {
        TRY(wait_until(_ring_changed, has_some, never, wait_mode::uninterruptible));
        if (!works()) {
            return err::io;
        }
        const result<usize> taken = answers().take(to);
        if (!taken.ok()) {
            give_up("the ring's counters are impossible");
            return taken.error();
        }
        to = to.subspan(taken.value());
        _notify(_notify_of);
    }
    return {};
}

result<void> store_client::receive_message() {
    store_header header;
    TRY(receive_bytes({reinterpret_cast<char*>(&header), sizeof(header)}));
    if (header.size > sizeof(_body)) {
        give_up("a message is longer than the protocol allows");
        return err::badmsg;
    }
    TRY(receive_bytes({_body, header.size}));
    if (header.type == store_message::watch_event) {
        take_change({_body, header.size});
        return {};
    }
    result<string> body = string::copy({_body, header.size});
    lock_guard guard(_lock);
    for (waiting_request* each : _waiting) {
        if (each->number == header.request && !each->done.load(std::memory_order_relaxed)) {
            each->type = header.type;
            each->body = std::move(body);
            each->done.store(true, std::memory_order_release);
            each->answered.wake_all();
            return {};
        }
    }
    return {};  // for one who waits no more
}

// Nothing can be said or heard any more; all who wait learn it.
void store_client::give_up(std::string_view why) {
    if (_broken.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    log_error("xenstore: {}; the host's store is not used any more", why);
    _ring_changed.wake_all();
    lock_guard guard(_lock);
    for (waiting_request* each : _waiting) {
        if (!each->done.exchange(true, std::memory_order_acq_rel)) {
            each->answered.wake_all();
        }
    }
}

// ---- watches ----

void store_client::take_change(std::string_view body) {
    u32 number = 0;
    std::string_view path;
    if (!split_change(body, path, number)) {
        log_warning("xenstore: a watch's message of {} bytes cannot be read", body.size());
        return;
    }
    note_change(number, path);
    _changed.wake_all();
}

// The same change twice is one.
void store_client::note_change(u32 number, std::string_view path) {
    result<unique<change>> made = make_unique<change>();
    result<string> copy = string::copy(path);
    lock_guard guard(_lock);
    for (const unique<change>& each : _changes) {
        if (each->number == number && each->path.view() == path) {
            return;
        }
    }
    if (!made.ok() || !copy.ok() || _changes.size() >= most_changes) {
        _changes_lost = true;
        return;
    }
    made.value()->number = number;
    made.value()->path = copy.take();
    _changes_lost = !_changes.push_back(made.take()).ok() || _changes_lost;
}

store_client::watch_record* store_client::find_watch(u32 number) {
    for (const unique<watch_record>& each : _watches) {
        if (each->number == number) {
            return each.get();
        }
    }
    return nullptr;
}

unique<store_client::watch_record> store_client::take_watch(u32 number) {
    lock_guard guard(_lock);
    for (usize i = 0; i < _watches.size(); ++i) {
        if (_watches[i]->number == number) {
            unique<watch_record> taken = std::move(_watches[i]);
            _watches.erase(i);
            return taken;
        }
    }
    return nullptr;
}

result<void> store_client::tell_of_watch(store_message type, const watch_record& record) {
    const number_text token(record.number);
    const std::string_view pieces[] = {record.path, nul, token.view(), nul};
    TRY(request(type, pieces));
    return {};
}

result<u32> store_client::watch(std::string_view path, xenstore::watch_handler handler, void* of) {
    TRY(check_path(path));
    watch_record wanted;
    wanted.path = TRY(string::copy(path));
    unique<watch_record> made = TRY(make_unique<watch_record>());
    made->path = TRY(string::copy(path));
    made->handler = handler;
    made->of = of;
    {
        lock_guard guard(_lock);
        if (_watches.size() >= most_watches) {
            return err::nospc;
        }
        wanted.number = made->number = ++_last_watch;
        TRY(_watches.push_back(std::move(made)));
    }
    const result<void> told = tell_of_watch(store_message::watch, wanted);
    if (!told.ok()) {
        static_cast<void>(take_watch(wanted.number));
        return told.error();
    }
    return wanted.number;
}

void store_client::unwatch(u32 number) {
    const unique<watch_record> taken = take_watch(number);
    if (!taken) {
        return;
    }
    static_cast<void>(tell_of_watch(store_message::unwatch, *taken));
    const auto is_done = [this, number] {
        lock_guard guard(_lock);
        return _handled_watch != number || _deliverer == &current_thread();
    };
    static_cast<void>(wait_until(_handled, is_done, never, wait_mode::uninterruptible));
}

void store_client::deliver_for_ever(void* argument) {
    auto& self = *static_cast<store_client*>(argument);
    {
        lock_guard guard(self._lock);
        self._deliverer = &current_thread();
    }
    for (;;) {
        const auto some = [&self] { return self.has_changes(); };
        static_cast<void>(wait_until(self._changed, some, never, wait_mode::uninterruptible));
        self.deliver_next();
        self.deliver_all();
    }
}

bool store_client::has_changes() {
    lock_guard guard(_lock);
    return !_changes.empty() || _changes_lost;
}

void store_client::deliver_next() {
    unique<change> next;
    {
        lock_guard guard(_lock);
        if (_changes.empty()) {
            return;
        }
        next = std::move(_changes[0]);
        _changes.erase(0);
    }
    call_handler(next->number, next->path);
}

// Tells every watch that something may have changed, after changes were lost.
void store_client::deliver_all() {
    {
        lock_guard guard(_lock);
        if (!_changes_lost) {
            return;
        }
        _changes_lost = false;
    }
    for (u32 last = 0;;) {
        std::string_view path;
        {
            lock_guard guard(_lock);
            const watch_record* next = nullptr;
            for (const unique<watch_record>& each : _watches) {
                const bool nearer = next == nullptr || each->number < next->number;
                next = each->number > last && nearer ? each.get() : next;
            }
            if (next == nullptr) {
                return;
            }
            last = next->number;
            path = {_path, next->path.size()};
            std::copy_n(next->path.c_str(), path.size(), _path);
        }
        call_handler(last, path);
    }
}

void store_client::call_handler(u32 number, std::string_view path) {
    xenstore::watch_handler handler = nullptr;
    void* of = nullptr;
    {
        lock_guard guard(_lock);
        const watch_record* record = find_watch(number);
        if (record == nullptr) {
            return;
        }
        handler = record->handler;
        of = record->of;
        _handled_watch = number;
    }
    handler(of, path);
    {
        lock_guard guard(_lock);
        _handled_watch = 0;
    }
    _handled.wake_all();
}

}  // namespace kiln::xen
