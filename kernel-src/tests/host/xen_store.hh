// The host's store as a model: a thread on the other side of the ring, with a tree, transactions and
// watches. Honest unless told otherwise.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "drivers/xen/store_client.hh"

namespace kiln::host {

class store_host {
public:
    struct message {
        xen::store_header header;
        std::string body;
    };

    // `tell` is called when the host has changed the ring; a guest that does not listen is not waited for.
    store_host(
        xen::store_page& page, std::function<void()> tell,
        std::function<bool()> listens = [] { return true; });
    ~store_host();

    // The guest has changed the ring.
    void kick();

    std::optional<std::string> get(const std::string& path);
    // As somebody of the host: watches are told.
    void set(const std::string& path, const std::string& value);
    usize watch_count();
    usize transaction_count();

    // Sends bytes as they are.
    void say(const std::string& bytes);
    void say(xen::store_message type, u32 request, const std::string& body);

    // Sees each request before it is answered; true: it has been dealt with.
    void intercept(std::function<bool(const message&)> by);
    // Answers are kept back until there are `count`, and given last first.
    void answer_backwards(usize count);
    void answer_all();
    // What relative paths are relative to.
    static inline const std::string home = "/local/domain/7";

private:
    using tree = std::map<std::string, std::string>;
    struct transaction {
        tree view;
        u64 generation;
    };
    struct watch {
        std::string path, token;
        bool relative;
    };

    void run();
    bool read_message(message& to);
    bool read_bytes(char* to, usize size);
    void answer(const message& to);
    std::string reply(const message& to, xen::store_message& type);
    std::string reply_in(tree& view, const message& to, xen::store_message& type);
    std::string end_transaction(u32 id, bool commit, xen::store_message& type);
    void changed(const std::string& path);
    void tell_watch(const watch& which, const std::string& path);
    void say_locked(const std::string& bytes);

    xen::store_page& _page;
    std::function<void()> _tell;
    std::function<bool()> _listens;
    std::recursive_mutex _lock;
    std::mutex _wake_lock;
    std::condition_variable _wake;
    bool _kicked = false;
    bool _ending = false;
    tree _tree;
    u64 _generation = 1;
    u32 _next_transaction = 1;
    std::map<u32, transaction> _transactions;
    std::vector<watch> _watches;
    std::function<bool(const message&)> _intercept;
    usize _backwards = 0;
    std::vector<std::string> _held;
    std::thread _thread;
};

}  // namespace kiln::host
