// A model of what Xen and its other domains are for a driver: the store with its watches, and event
// channels. It stands in for drivers/xen/xenstore.cc and event_channel.cc in the tests that include it.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "drivers/xen/event_channel.hh"
#include "drivers/xen/xenstore.hh"
#include "tests/xen_rig.hh"

namespace kiln::xen {

class store_model {
public:
    void set(const std::string& path, const std::string& value) {
        std::vector<watcher> told;
        {
            std::lock_guard hold(_lock);
            _nodes[path] = value;
            told = matching(path);
        }
        _changed.notify_all();
        for (const watcher& each : told) {
            each.handler(each.of, path);
        }
    }
    void set(const std::string& path, u64 value) { set(path, std::to_string(value)); }
    void erase(const std::string& path) {
        std::vector<watcher> told;
        {
            std::lock_guard hold(_lock);
            _nodes.erase(path);
            told = matching(path);
        }
        for (const watcher& each : told) {
            each.handler(each.of, path);
        }
    }
    std::string get(const std::string& path) {
        std::lock_guard hold(_lock);
        const auto found = _nodes.find(path);
        return found == _nodes.end() ? "" : found->second;
    }
    u64 number(const std::string& path) {
        const std::string text = get(path);
        return text.empty() ? 0 : std::stoull(text);
    }
    bool has(const std::string& path) {
        std::lock_guard hold(_lock);
        return _nodes.contains(path);
    }
    // False when `stop` came first.
    bool wait_for(const std::string& path, const std::string& value) {
        std::unique_lock hold(_lock);
        _changed.wait(hold, [&] { return _stopped || _nodes[path] == value; });
        return !_stopped;
    }
    void stop() {
        {
            std::lock_guard hold(_lock);
            _stopped = true;
        }
        _changed.notify_all();
    }
    u32 watch(std::string_view path, xenstore::watch_handler handler, void* of) {
        {
            std::lock_guard hold(_lock);
            _watches.push_back({++_last, std::string(path), handler, of});
        }
        handler(of, path);
        return _last;
    }
    void unwatch(u32 number) {
        std::lock_guard hold(_lock);
        std::erase_if(_watches, [&](const watcher& each) { return each.number == number; });
    }
    // How often a write went wrong, from which the driver has to recover.
    u32 conflicts = 0;

private:
    struct watcher {
        u32 number;
        std::string path;
        xenstore::watch_handler handler;
        void* of;
    };
    std::vector<watcher> matching(const std::string& path) {
        std::vector<watcher> found;
        for (const watcher& each : _watches) {
            if (path == each.path || path.starts_with(each.path + "/")) {
                found.push_back(each);
            }
        }
        return found;
    }

    std::mutex _lock;
    std::condition_variable _changed;
    std::map<std::string, std::string> _nodes;
    std::vector<watcher> _watches;
    u32 _last = 0;
    bool _stopped = false;
};

class event_model {
public:
    u32 allocate() {
        std::lock_guard hold(_lock);
        _ports.push_back({});
        return static_cast<u32>(_ports.size() - 1);
    }
    void attach(u32 port, event_channel::handler_function handler, void* of) {
        {
            std::lock_guard hold(_lock);
            _ports.at(port).handler = handler;
            _ports.at(port).of = of;
        }
        set_masked(port, false);
    }
    void set_masked(u32 port, bool masked) {
        {
            std::lock_guard hold(_lock);
            _ports.at(port).masked = masked;
        }
        deliver(port);
    }
    bool masked(u32 port) {
        std::lock_guard hold(_lock);
        return _ports.at(port).masked;
    }
    // From the driver to the backend, and what the backend does then.
    void notify(u32 port) {
        {
            std::lock_guard hold(_lock);
            _notified.push_back(port);
        }
        _to_backend.notify_all();
    }
    // The next port that was notified; 0 after stop.
    u32 next_notified() {
        std::unique_lock hold(_lock);
        _to_backend.wait(hold, [&] { return _stopped || !_notified.empty(); });
        if (_notified.empty()) {
            return 0;
        }
        const u32 port = _notified.front();
        _notified.erase(_notified.begin());
        return port;
    }
    void stop() {
        {
            std::lock_guard hold(_lock);
            _stopped = true;
        }
        _to_backend.notify_all();
    }
    // From the backend to the driver.
    void fire(u32 port) {
        {
            std::lock_guard hold(_lock);
            _ports.at(port).pending = true;
        }
        deliver(port);
    }

private:
    struct state {
        event_channel::handler_function handler = nullptr;
        void* of = nullptr;
        bool masked = true, pending = false;
    };
    void deliver(u32 port) {
        state found;
        {
            std::lock_guard hold(_lock);
            found = _ports.at(port);
            if (found.masked || !found.pending || found.handler == nullptr) {
                return;
            }
            _ports.at(port).pending = false;
        }
        found.handler(found.of);
    }

    std::mutex _lock;
    std::condition_variable _to_backend;
    std::vector<state> _ports{{}};  // port 0 is none
    std::vector<u32> _notified;
    bool _stopped = false;
};

// What the drivers find; one test at a time.
struct xen_model {
    xen_model() { current = this; }
    ~xen_model() { current = nullptr; }
    static inline xen_model* current = nullptr;

    grant_rig grants;
    store_model store;
    event_model events;
};

grant_table& grants() {
    return xen_model::current->grants.table;
}

namespace event_channel {

result<u32> allocate_unbound(u16 remote_domain) {
    EXPECT_EQ(remote_domain, backend_domain);
    return xen_model::current->events.allocate();
}
result<void> attach(u32 port, handler_function handler, void* of, u32) {
    xen_model::current->events.attach(port, handler, of);
    return {};
}
void notify(u32 port) {
    xen_model::current->events.notify(port);
}
void mask(u32 port) {
    xen_model::current->events.set_masked(port, true);
}
void unmask(u32 port) {
    xen_model::current->events.set_masked(port, false);
}
void close(u32) {}

}  // namespace event_channel

namespace xenstore {

bool available() {
    return xen_model::current != nullptr;
}
transaction::~transaction() = default;
result<void> transaction::begin() {
    _id = 1;
    return {};
}
// What is written within one is seen at once here; others interfere as often as the test says.
result<void> transaction::commit() {
    u32& conflicts = xen_model::current->store.conflicts;
    return conflicts != 0 && conflicts-- != 0 ? result<void>(err::again) : result<void>();
}
result<string> read(std::string_view path, u32) {
    store_model& store = xen_model::current->store;
    const std::string name(path);
    return store.has(name) ? string::copy(store.get(name)) : result<string>(err::noent);
}
result<void> write(std::string_view path, std::string_view value, u32) {
    xen_model::current->store.set(std::string(path), std::string(value));
    return {};
}
result<u64> read_number(std::string_view path, u32) {
    store_model& store = xen_model::current->store;
    const std::string text = store.get(std::string(path));
    if (text.empty()) {
        return err::noent;
    }
    const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
    return digits && text.size() < 20 ? result<u64>(std::stoull(text)) : result<u64>(err::inval);
}
result<void> write_number(std::string_view path, u64 value, u32) {
    xen_model::current->store.set(std::string(path), value);
    return {};
}
result<string> join(std::string_view directory, std::string_view name) {
    return string::copy(std::string(directory) + "/" + std::string(name));
}
result<u32> watch(std::string_view path, watch_handler handler, void* of) {
    return xen_model::current->store.watch(path, handler, of);
}
void unwatch(u32 watch) {
    if (xen_model::current != nullptr) {
        xen_model::current->store.unwatch(watch);
    }
}

}  // namespace xenstore

}  // namespace kiln::xen
