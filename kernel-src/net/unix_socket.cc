#include "net/unix_socket.hh"

#include <algorithm>

#include "lib/bytes.hh"
#include "lib/format.hh"

namespace kiln::net {
namespace {

constexpr usize family_size = sizeof(u16);
constexpr usize most_path = 108;
constexpr u32 most_backlog = 4096;

constinit mutex family_lock;

bool is_abstract(const socket_address& name) {
    return name.size > family_size && name.bytes[family_size] == std::byte{0};
}

// The path of a name in the file system, up to its NUL.
std::string_view path_of(const socket_address& name) {
    const char* text = reinterpret_cast<const char*>(name.bytes + family_size);
    const std::string_view whole(text, name.size - family_size);
    return whole.substr(0, whole.find('\0'));
}

bool same_name(const socket_address& a, const socket_address& b) {
    return a.size == b.size && __builtin_memcmp(a.bytes, b.bytes, a.size) == 0;
}

result<void> check_name(const socket_address& name) {
    if (name.size < family_size || name.size > family_size + most_path ||
        name.family() != address_family::local) {
        return err::inval;
    }
    return {};
}

socket_address no_name() {
    socket_address name;
    store<u16>(name.bytes, address_family::local);
    name.size = family_size;
    return name;
}

}  // namespace

// Bound sockets. Guarded by the family's lock.
class unix_names {
public:
    static unix_socket* find_abstract(const socket_address& name) {
        for (unix_socket& each : bound) {
            if (!each._path.entry && same_name(each._name, name)) {
                return &each;
            }
        }
        return nullptr;
    }
    static unix_socket* find_path(const void* identity) {
        for (unix_socket& each : bound) {
            if (each._path.entry && each._path.identity == identity) {
                return &each;
            }
        }
        return nullptr;
    }
    static void add(unix_socket& added) { bound.push_back(added); }
    static void remove(unix_socket& gone) {
        if (gone._name_link.linked()) {
            list<unix_socket, &unix_socket::_name_link>::remove(gone);
        }
    }
    // Who has the name, looked up without the family's lock held.
    static result<ref<unix_socket>> find(const socket_address& name);

private:
    static list<unix_socket, &unix_socket::_name_link> bound;
};

constinit list<unix_socket, &unix_socket::_name_link> unix_names::bound;

result<ref<unix_socket>> unix_names::find(const socket_address& name) {
    TRY(check_name(name));
    if (name.size <= family_size) {
        return err::inval;
    }
    unix_path path;
    if (!is_abstract(name)) {
        path = TRY(find_unix_path(path_of(name)));
    }
    lock_guard guard(family_lock);
    unix_socket* found = path.entry ? find_path(path.identity) : find_abstract(name);
    if (found == nullptr || !found->try_add_reference()) {
        return err::connrefused;
    }
    return ref<unix_socket>::adopt(found);
}

result<ref<unix_socket>> unix_socket::find_named(const socket_address& name) {
    return unix_names::find(name);
}

unix_socket::~unix_socket() {
    drop_messages();
}

result<void> unix_socket::make_pair(u16 type, ref<socket>& first, ref<socket>& second) {
    auto one = TRY(make_ref<unix_socket>(type));
    auto two = TRY(make_ref<unix_socket>(type));
    one->_own_credentials = two->_own_credentials = own_credentials();
    {
        lock_guard guard(family_lock);
        one->link_peers(*two);
    }
    first = one;
    second = two;
    return {};
}

void unix_socket::link_peers(unix_socket& other) {
    _peer = ref<unix_socket>(&other);
    other._peer = ref<unix_socket>(this);
    _peer_name = other._name;
    other._peer_name = _name;
    _peer_credentials = other._own_credentials;
    other._peer_credentials = _own_credentials;
    _phase = other._phase = phase::connected;
}

ref<unix_socket> unix_socket::peer() {
    lock_guard guard(family_lock);
    return _peer;
}

result<void> unix_socket::bind_automatically() {
    lock_guard guard(family_lock);
    static constinit u32 next = 0;
    for (u32 tries = 0; tries < 0x100000; ++tries) {
        char text[6];
        format_to(text, "{:05x}", next++ & 0xfffff);
        socket_address name = no_name();
        name.bytes[family_size] = std::byte{0};
        __builtin_memcpy(name.bytes + family_size + 1, text, 5);
        name.size = family_size + 6;
        if (unix_names::find_abstract(name) == nullptr) {
            _name = name;
            unix_names::add(*this);
            return {};
        }
    }
    return err::nospc;
}

result<void> unix_socket::bind(const socket_address& address) {
    TRY(check_name(address));
    if (_name.size > family_size) {
        return err::inval;
    }
    if (address.size == family_size) {
        return bind_automatically();
    }
    unix_path path;
    if (!is_abstract(address)) {
        path = TRY(create_unix_path(path_of(address)));
    }
    lock_guard guard(family_lock);
    if (!path.entry && unix_names::find_abstract(address) != nullptr) {
        return err::addrinuse;
    }
    _name = address;
    if (path.entry) {
        // Shown with one NUL at the end, however it was given.
        const usize length = path_of(address).size();
        _name.size = std::min(family_size + length + 1, socket_address::capacity);
        _name.bytes[_name.size - 1] = std::byte{0};
    }
    _path = std::move(path);
    unix_names::add(*this);
    return {};
}

result<void> unix_socket::listen(i32 backlog) {
    if (!connection_based()) {
        return err::opnotsupp;
    }
    lock_guard guard(family_lock);
    if (_name.size <= family_size || _phase == phase::connected) {
        return err::inval;
    }
    _backlog = std::min(static_cast<u32>(backlog), most_backlog);
    _own_credentials = own_credentials();
    _phase = phase::listening;
    return {};
}

result<ref<socket>> unix_socket::accept(bool nonblocking) {
    const u64 until = receive_deadline();
    if (!connection_based()) {
        return err::opnotsupp;
    }
    for (;;) {
        {
            lock_guard guard(family_lock);
            if (_phase != phase::listening) {
                return err::inval;
            }
            if (unix_socket* first = _ready.pop_front()) {
                --_ready_count;
                ref<socket> accepted = ref<unix_socket>::adopt(first);
                // A connector that waits for room in the backlog looks again.
                _queue.wake(poll_event::out);
                return accepted;
            }
        }
        if (nonblocking) {
            return err::again;
        }
        TRY(wait_for(
            [this] {
                lock_guard guard(family_lock);
                return !_ready.empty() || _phase != phase::listening;
            },
            until, _options.receive_timeout != never));
    }
}

// Makes the other end and puts it into the listener's queue. err::again: the queue is full.
result<void> unix_socket::connect_stream(unix_socket& listener) {
    auto end = TRY(make_ref<unix_socket>(type()));
    {
        lock_guard guard(family_lock);
        if (_phase == phase::connected) {
            return err::isconn;
        }
        if (_phase == phase::listening) {
            return err::inval;
        }
        if (listener._phase != phase::listening || listener._read_shut) {
            return err::connrefused;
        }
        if (listener._ready_count > listener._backlog) {
            return err::again;
        }
        _own_credentials = own_credentials();
        end->_own_credentials = listener._own_credentials;
        end->_name = listener._name;
        link_peers(*end);
        listener._ready.push_back(*end.leak());
        ++listener._ready_count;
    }
    listener._queue.wake(poll_event::in | poll_event::rdnorm);
    return {};
}

result<void> unix_socket::connect(const socket_address& address, bool nonblocking) {
    if (address.size >= family_size && address.family() == address_family::unspecified &&
        !connection_based()) {
        lock_guard guard(family_lock);
        _peer = nullptr;
        _phase = phase::unconnected;
        return {};
    }
    ref<unix_socket> target = TRY(unix_names::find(address));
    if (target->type() != type()) {
        return err::prototype;
    }
    if (!connection_based()) {
        lock_guard guard(family_lock);
        _peer = target;
        _peer_name = target->_name;
        _phase = phase::connected;
        return {};
    }
    const u64 until = send_deadline();
    for (;;) {
        auto done = connect_stream(*target);
        if (done.ok() || done.error() != err::again || nonblocking) {
            return done;
        }
        auto waited = wait_until(
            target->_queue,
            [&] {
                lock_guard guard(family_lock);
                return target->_ready_count <= target->_backlog ||
                       target->_phase != phase::listening;
            },
            until);
        if (!waited.ok()) {
            return waited.error() == err::timedout ? err::again : err::restart_sys;
        }
    }
}

result<void> unix_socket::shutdown(i32 how) {
    if (how < shutdown_how::read || how > shutdown_how::both) {
        return err::inval;
    }
    const bool reading = how != shutdown_how::write;
    const bool writing = how != shutdown_how::read;
    ref<unix_socket> other = peer();
    _read_shut = _read_shut || reading;
    _write_shut = _write_shut || writing;
    if (other && connection_based()) {
        other->_read_shut = other->_read_shut || writing;
        other->_write_shut = other->_write_shut || reading;
        other->_queue.wake(poll_event::in | poll_event::out | poll_event::rdhup |
                           (other->_read_shut && other->_write_shut ? poll_event::hangup : 0));
    }
    _queue.wake(poll_event::in | poll_event::out | poll_event::rdhup | poll_event::hangup);
    return {};
}

void unix_socket::close() {
    ref<unix_socket> other;
    unix_path path;
    list<unix_socket, &unix_socket::_accept_link> refused;
    bool unread;
    {
        lock_guard queue_guard(_queue_lock);
        unread = first_unread() != nullptr;
    }
    {
        lock_guard guard(family_lock);
        unix_names::remove(*this);
        path = std::move(_path);
        other = std::move(_peer);
        if (other && other->_peer == this) {
            other->_peer = nullptr;
        }
        _phase = phase::closed;
        refused.splice_back(_ready);
        _ready_count = 0;
    }
    _read_shut = _write_shut = true;
    if (other && connection_based()) {
        other->_reset = unread || _reset;  // set by a listener that never accepted us
        other->_read_shut = other->_write_shut = true;
        other->_queue.wake(poll_event::in | poll_event::out | poll_event::rdhup |
                           poll_event::hangup);
    } else if (other) {
        other->_queue.wake(poll_event::out);
    }
    while (unix_socket* waiting = refused.pop_front()) {
        ref<unix_socket> never_accepted = ref<unix_socket>::adopt(waiting);
        never_accepted->_reset = true;
        never_accepted->close();
    }
    drop_messages();
    _queue.wake(all_events);
}

result<void> unix_socket::local_address(socket_address& to) {
    lock_guard guard(family_lock);
    to = _name.size > family_size ? _name : no_name();
    return {};
}

result<void> unix_socket::peer_address(socket_address& to) {
    lock_guard guard(family_lock);
    if (_phase != phase::connected || (!_peer && !connection_based())) {
        return err::notconn;
    }
    to = _peer_name.size > family_size ? _peer_name : no_name();
    return {};
}

result<usize> unix_socket::get_option(i32 level, i32 name, std::span<std::byte> value) {
    if (level == socket_level::socket && name == socket_option::peer_credentials) {
        const socket_credentials told =
            _phase == phase::listening ? _own_credentials : _peer_credentials;
        return put_option(value, &told, sizeof(told));
    }
    return level == socket_level::socket ? socket::get_option(level, name, value)
                                         : result<usize>(err::opnotsupp);
}

}  // namespace kiln::net
