#include "tests/host/xen_store.hh"

#include <cstring>
#include <set>

namespace kiln::host {
namespace {

using xen::store_message;

// What is written at "a/b/c" makes "a" and "a/b".
void put(std::map<std::string, std::string>& tree, const std::string& path, const std::string& value) {
    for (usize at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1)) {
        tree.try_emplace(path.substr(0, at), "");
    }
    tree[path] = value;
}

bool is_below(const std::string& path, const std::string& above) {
    return path == above || path.starts_with(above + "/");
}

std::string frame(store_message type, u32 request, u32 transaction, const std::string& body) {
    const xen::store_header header{type, request, transaction, static_cast<u32>(body.size())};
    return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + body;
}

std::string absolute(const std::string& path) {
    return path.starts_with('/') ? path : store_host::home + "/" + path;
}

std::string fail(store_message& type, const char* name) {
    type = store_message::error;
    return std::string(name) + '\0';
}

const std::string ok("OK\0", 3);

}  // namespace

store_host::store_host(xen::store_page& page, std::function<void()> tell,
                       std::function<bool()> listens)
    : _page(page), _tell(std::move(tell)), _listens(std::move(listens)), _thread([this] { run(); }) {}

store_host::~store_host() {
    {
        std::lock_guard guard(_wake_lock);
        _ending = true;
    }
    _wake.notify_all();
    _thread.join();
}

void store_host::kick() {
    std::lock_guard guard(_wake_lock);
    _kicked = true;
    _wake.notify_all();
}

std::optional<std::string> store_host::get(const std::string& path) {
    std::lock_guard guard(_lock);
    const auto found = _tree.find(absolute(path));
    return found == _tree.end() ? std::nullopt : std::optional(found->second);
}

void store_host::set(const std::string& path, const std::string& value) {
    std::lock_guard guard(_lock);
    put(_tree, absolute(path), value);
    ++_generation;
    changed(absolute(path));
}

usize store_host::watch_count() {
    std::lock_guard guard(_lock);
    return _watches.size();
}

usize store_host::transaction_count() {
    std::lock_guard guard(_lock);
    return _transactions.size();
}

void store_host::say(const std::string& bytes) {
    std::lock_guard guard(_lock);
    say_locked(bytes);
}

void store_host::say(store_message type, u32 request, const std::string& body) {
    say(frame(type, request, 0, body));
}

void store_host::intercept(std::function<bool(const message&)> by) {
    std::lock_guard guard(_lock);
    _intercept = std::move(by);
}

void store_host::answer_backwards(usize count) {
    std::lock_guard guard(_lock);
    _backwards = count;
}

void store_host::answer_all() {
    std::lock_guard guard(_lock);
    while (!_held.empty()) {
        say_locked(_held.back());
        _held.pop_back();
    }
}

void store_host::run() {
    message next;
    while (read_message(next)) {
        std::lock_guard guard(_lock);
        if (!_intercept || !_intercept(next)) {
            answer(next);
        }
    }
}

bool store_host::read_message(message& to) {
    if (!read_bytes(reinterpret_cast<char*>(&to.header), sizeof(to.header))) {
        return false;
    }
    to.body.resize(to.header.size);
    return read_bytes(to.body.data(), to.body.size());
}

bool store_host::read_bytes(char* to, usize size) {
    xen::byte_ring<xen::store_page::ring_size> ring{_page.requests, _page.request_consumed,
                                                    _page.request_produced};
    while (size != 0) {
        const usize taken = ring.take({to, size}).value_or(0);
        to += taken;
        size -= taken;
        if (taken != 0) {
            _tell();
            continue;
        }
        std::unique_lock hold(_wake_lock);
        _wake.wait(hold, [this] { return _kicked || _ending; });
        _kicked = false;
        if (_ending) {
            return false;
        }
    }
    return true;
}

// The ring may be smaller than what is said; the guest makes room meanwhile, if it still listens.
void store_host::say_locked(const std::string& bytes) {
    xen::byte_ring<xen::store_page::ring_size> ring{_page.answers, _page.answer_consumed,
                                                    _page.answer_produced};
    for (usize at = 0; at < bytes.size() && _listens();) {
        const usize put = ring.put({bytes.data() + at, bytes.size() - at}).value_or(bytes.size());
        at += put;
        _tell();
        if (put == 0) {
            std::unique_lock hold(_wake_lock);
            _wake.wait_for(hold, std::chrono::milliseconds(1));
            if (_ending) {
                return;
            }
        }
    }
}

void store_host::answer(const message& to) {
    store_message type = to.header.type;
    const std::string body = reply(to, type);
    _held.push_back(frame(type, to.header.request, to.header.transaction, body));
    if (_held.size() > _backwards) {
        answer_all();
    }
    // A new watch is told once at once.
    if (to.header.type == store_message::watch && type == store_message::watch) {
        tell_watch(_watches.back(), absolute(_watches.back().path));
    }
}

std::string store_host::reply(const message& to, store_message& type) {
    switch (to.header.type) {
        case store_message::transaction_start: {
            const u32 id = _next_transaction++;
            _transactions[id] = {_tree, _generation};
            return std::to_string(id) + '\0';
        }
        case store_message::transaction_end:
            return end_transaction(to.header.transaction, to.body == std::string("T\0", 2), type);
        case store_message::watch:
        case store_message::unwatch: {
            const usize end = to.body.find('\0');
            const std::string path = to.body.substr(0, end);
            const std::string token = to.body.substr(end + 1, to.body.size() - end - 2);
            const auto same = [&](const watch& w) { return w.path == path && w.token == token; };
            if (to.header.type == store_message::unwatch) {
                return std::erase_if(_watches, same) != 0 ? ok : fail(type, "ENOENT");
            }
            _watches.push_back({path, token, !path.starts_with('/')});
            return ok;
        }
        default: break;
    }
    if (to.header.transaction == 0) {
        return reply_in(_tree, to, type);
    }
    const auto found = _transactions.find(to.header.transaction);
    return found == _transactions.end() ? fail(type, "ENOENT")
                                        : reply_in(found->second.view, to, type);
}

std::string store_host::reply_in(tree& view, const message& to, store_message& type) {
    const usize end = to.body.find('\0');
    if (end == to.body.npos) {
        return fail(type, "EINVAL");
    }
    const std::string path = absolute(to.body.substr(0, end));
    const bool committed = &view == &_tree;
    if (to.header.type == store_message::write) {
        put(view, path, to.body.substr(end + 1));
        _generation += committed;
        if (committed) {
            changed(path);
        }
        return ok;
    }
    if (!view.contains(path)) {
        return fail(type, "ENOENT");
    }
    if (to.header.type == store_message::read) {
        return view[path];
    }
    if (to.header.type == store_message::remove) {
        std::erase_if(view, [&](const auto& each) { return is_below(each.first, path); });
        _generation += committed;
        if (committed) {
            changed(path);
        }
        return ok;
    }
    if (to.header.type != store_message::list) {
        return fail(type, "ENOSYS");
    }
    std::string names;
    for (const auto& [name, value] : view) {
        if (name.starts_with(path + "/") && name.find('/', path.size() + 1) == name.npos) {
            names += name.substr(path.size() + 1) + '\0';
        }
    }
    return names;
}

std::string store_host::end_transaction(u32 id, bool commit, store_message& type) {
    const auto found = _transactions.find(id);
    if (found == _transactions.end()) {
        return fail(type, "ENOENT");
    }
    const transaction ended = std::move(found->second);
    _transactions.erase(found);
    if (commit && ended.generation != _generation) {
        return fail(type, "EAGAIN");
    }
    if (commit) {
        std::set<std::string> different;
        for (const auto& [path, value] : ended.view) {
            if (!_tree.contains(path) || _tree[path] != value) {
                different.insert(path);
            }
        }
        _tree = ended.view;
        ++_generation;
        for (const std::string& path : different) {
            changed(path);
        }
    }
    return ok;
}

void store_host::changed(const std::string& path) {
    for (const watch& each : _watches) {
        if (is_below(path, absolute(each.path)) || is_below(absolute(each.path), path)) {
            tell_watch(each, is_below(path, absolute(each.path)) ? path : absolute(each.path));
        }
    }
}

void store_host::tell_watch(const watch& which, const std::string& path) {
    const std::string named = which.relative ? path.substr(home.size() + 1) : path;
    say_locked(frame(store_message::watch_event, 0, 0, named + '\0' + which.token + '\0'));
}

}  // namespace kiln::host
