#include "drivers/xen/front.hh"

#include <algorithm>

#include "core/log.hh"

namespace kiln::xen {
namespace {

using enum xenbus_state;

constexpr u64 highest_state = static_cast<u64>(reconfigured);

}  // namespace

std::string_view name_of(xenbus_state state) {
    constexpr std::string_view names[] = {
        "gone",      "Initialising", "InitWait", "Initialised",   "Connected",
        "Closing",   "Closed",       "Reconfiguring", "Reconfigured",
    };
    return names[static_cast<u32>(state)];
}

void front::stop_watching() {
    while (_watch_count != 0) {
        xenstore::unwatch(_watches[--_watch_count]);
    }
}

// ---- nodes ----

result<string> front::own(std::string_view name) const {
    return xenstore::read(TRY(path(name)));
}

u64 front::own_number(std::string_view name, u64 otherwise) const {
    auto where = path(name);
    return where.ok() ? xenstore::read_number(where.value()).value_or(otherwise) : otherwise;
}

u64 front::offered(std::string_view name, u64 otherwise) const {
    auto where = xenstore::join(_backend, name);
    return where.ok() ? xenstore::read_number(where.value()).value_or(otherwise) : otherwise;
}

result<void> front::writer::put(std::string_view name, u64 value) {
    return xenstore::write_number(TRY(_front.path(name)), value, _transaction);
}

result<void> front::writer::put_text(std::string_view name, std::string_view value) {
    return xenstore::write(TRY(_front.path(name)), value, _transaction);
}

result<void> front::writer::put_for_queue(u32 queue, std::string_view name, u64 value) {
    char place[64];
    const usize size = format_to(place, "queue-{}/{}", queue, name);
    return put({place, size}, value);
}

// ---- states ----

result<void> front::change_state(xenbus_state to) {
    return xenstore::write_number(TRY(path("state")), static_cast<u64>(to));
}

void front::look_at_backend() {
    const u64 found = offered("state", 0);
    const xenbus_state state = found <= highest_state ? static_cast<xenbus_state>(found) : unknown;
    _backend_state.store(state, std::memory_order_release);
    _state_changes.wake_all();
}

void front::on_change(void* of, std::string_view) {
    auto& self = *static_cast<front*>(of);
    self.look_at_backend();
    self._changed(self._of);
}

result<void> front::watch_offer(std::string_view name) {
    KILN_ASSERT(_watch_count < std::size(_watches));
    const string where = TRY(xenstore::join(_backend, name));
    _watches[_watch_count] = TRY(xenstore::watch(where, &on_change, this));
    ++_watch_count;
    return {};
}

result<void> front::find_backend() {
    _backend = TRY(own("backend"));
    const u64 domain = own_number("backend-id", domain_limit);
    if (_backend.empty() || domain >= domain_limit) {
        log_warning("xen: {} {}: the store does not say who provides it", _kind, _id);
        return err::nodev;
    }
    _domain = static_cast<u16>(domain);
    return {};
}

result<void> front::open(std::string_view id, u64 limit) {
    _id = TRY(string::copy(id));
    TRY(_path.append("device/"));
    TRY(_path.append(_kind));
    TRY(_path.append('/'));
    TRY(_path.append(id));
    TRY(find_backend());
    TRY(watch_offer("state"));
    look_at_backend();
    // A device that somebody has used is led through the end of that use first.
    if (!backend_is(bit(connected) | bit(closing) | bit(closed))) {
        return wait_for_offer(bit(closing) | bit(closed), limit);
    }
    return close(limit) ? begin(limit) : err::timedout;
}

result<void> front::begin(u64 limit) {
    return wait_for_offer(0, limit);
}

result<void> front::wait_for_offer(states hopeless, u64 limit) {
    TRY(change_state(initialising));
    return wait_for(bit(init_wait) | bit(initialised), hopeless | bit(unknown), "offered itself", limit);
}

result<void> front::wait_until_connected() {
    return wait_for(bit(connected), ends(), "connected", longest_wait);
}

void front::give_time_to_connect(u64 limit) {
    (void)wait_until(
        _state_changes, [&] { return backend_is(bit(connected) | ends()); }, deadline_after(limit),
        wait_mode::uninterruptible);
}

bool front::close(u64 limit) {
    // A backend that is not yet connected has nothing to close.
    const bool joined = backend_is(bit(connected) | bit(closing));
    (void)change_state(closing);
    if (joined && !wait_for(ends(), 0, "begun to close", limit).ok()) {
        return false;
    }
    (void)change_state(closed);
    return !joined || wait_for(bit(closed) | bit(init_wait) | bit(unknown), 0, "closed", limit).ok();
}

void front::say_waiting(std::string_view what, u64 waited, bool in_vain) const {
    log_at(in_vain ? log_level::error : log_level::warning,
           "xen: {} {}: the backend in domain {} has not {} for {} s (state {}){}", _kind, _id, _domain,
           what, waited / ns_per_s, name_of(backend_state()),
           in_vain ? "; the device is not used" : "; still waiting");
}

result<void> front::wait_for(states wanted, states hopeless, std::string_view what, u64 limit) {
    u64 waited = 0;
    for (const u64 until : {std::min(note_after, limit), limit}) {
        const bool settled = wait_until(
                                 _state_changes, [&] { return backend_is(wanted | hopeless); },
                                 deadline_after(until - waited), wait_mode::uninterruptible)
                                 .ok();
        if (settled && backend_is(wanted)) {
            return {};
        }
        if (settled) {
            log_error("xen: {} {}: the backend in domain {} has not {}: its state is {}", _kind, _id,
                      _domain, what, name_of(backend_state()));
            return err::io;
        }
        waited = until;
        say_waiting(what, waited, waited == limit);
        if (waited == limit) {
            break;
        }
    }
    return err::timedout;
}

}  // namespace kiln::xen
