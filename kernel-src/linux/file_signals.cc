// kernel only: needs the process.
//
// See file_signals.hh. What a file has to tell comes as a wake-up of its poll queue, perhaps in an
// interrupt handler, where nothing can be allocated: a plain SIGIO or SIGURG is a mark in the queue of
// pending signals, and F_SETSIG's with siginfo come out of a pool that is made with the setting. When
// the pool is empty, so many signals of the file pend already that one more says nothing new.
//
// Locks: `changes` (sleeping) keeps calls apart; everything that the wake-up reads is guarded by the
// process's signal_lock, which is taken inside a poll queue's lock.
#include "linux/file_signals.hh"

#include "linux/process.hh"
#include "linux/signal_state.hh"

namespace kiln {
namespace {

// include/uapi/asm-generic/fcntl.h and ioctls.h, include/uapi/linux/sockios.h.
namespace commands {
constexpr u32 set_owner = 8, get_owner = 9, set_signal = 10, get_signal = 11, set_owner_ex = 15,
              get_owner_ex = 16, get_owner_uids = 17;
constexpr u32 file_set_owner = 0x8901, socket_set_owner = 0x8902, file_get_owner = 0x8903,
              socket_get_owner = 0x8904;
}

enum class owner_kind : i32 { thread = 0, process = 1, group = 2 };

// struct f_owner_ex.
struct user_owner {
    i32 kind;
    i32 pid;
};

// Why a signal is sent: si_code of SIGIO (include/uapi/asm-generic/siginfo.h), and si_band with it.
enum class reason : i32 { input = 1, output = 2, error = 4, urgent = 5, hangup = 6 };

i64 band_of(reason why) {
    using namespace poll_event;
    switch (why) {
        case reason::input: return in | rdnorm;
        case reason::output: return out | wrnorm | wrband;
        case reason::error: return error;
        case reason::urgent: return pri | rdband;
        case reason::hangup: return hangup | error;
    }
    return 0;
}

// Signals whose own si_codes would be mistaken for a reason.
bool has_own_codes(int signo) {
    constexpr signal_set with_codes =
        signal_bit(signo::ill) | signal_bit(signo::fpe) | signal_bit(signo::segv) |
        signal_bit(signo::bus) | signal_bit(signo::trap) | signal_bit(signo::chld) |
        signal_bit(signo::sys);
    return (signal_bit(signo) & with_codes) != 0;
}

// Entries for signals that pend. A pool whose file is gone stays until its last entry was taken; the
// next call that comes by here frees it. All under signal_lock but the making and freeing.
class signal_pool : noncopyable {
public:
    signal_pool() {
        for (pooled& each : _entries) {
            each.taken = &give_back;
            each.pool = this;
            _unused.push_back(each);
        }
    }
    queued_signal* take() {
        queued_signal* const entry = _unused.pop_front();
        _pending += entry != nullptr ? 1 : 0;
        return entry;
    }
    static void give_back(queued_signal& entry) {
        signal_pool& self = *static_cast<pooled&>(entry).pool;
        self._unused.push_back(entry);
        --self._pending;
        self.bury_if_done();
    }
    void abandon() {
        _abandoned = true;
        bury_if_done();
    }
    // The pools that can be freed, linked by next_dead.
    static signal_pool* take_dead() { return std::exchange(_dead, nullptr); }
    signal_pool* next_dead() const { return _next_dead; }

private:
    struct pooled : queued_signal {
        signal_pool* pool = nullptr;
    };

    void bury_if_done() {
        if (_abandoned && _pending == 0) {
            _next_dead = std::exchange(_dead, this);
        }
    }

    pooled _entries[32];
    pending_signals::entry_list _unused;
    u32 _pending = 0;
    bool _abandoned = false;
    signal_pool* _next_dead = nullptr;
    static constinit signal_pool* _dead;
};

constinit signal_pool* signal_pool::_dead = nullptr;

// No locks held.
void free_dead_pools() {
    signal_pool* dead = nullptr;
    {
        irq_guard guard(the_process().signal_lock);
        dead = signal_pool::take_dead();
    }
    while (dead != nullptr) {
        delete std::exchange(dead, dead->next_dead());
    }
}

// What is set by the calls; under signal_lock.
struct signal_settings {
    owner_kind kind = owner_kind::process;
    i32 pid = 0;  // of the owner; 0: nobody
    u32 uid = 0, euid = 0;
    int signo = 0;  // F_SETSIG
    int fd = -1;    // that O_ASYNC was set with
    bool async = false;
    signal_pool* pool = nullptr;  // once there has been a signo
};

// Sits in the file's poll queue from when there is something to tell until the file goes.
class told_file final : public file_signals {
public:
    explicit told_file(file& open) : _file(open), _watcher(*this) {}
    ~told_file() override;

    // Idempotent. Under `changes`.
    void watch();

    signal_settings settings;

private:
    struct watcher : wait_entry {
        explicit watcher(told_file& file) : wait_entry(&on_news), owner(file) {}
        told_file& owner;
    };

    static bool on_news(wait_entry& entry, u32 events);
    void tell(u32 events);
    void tell_socket(u32 events);
    void send(reason why);
    void send_queued(reason why);
    bool target(task*& to) const;
    void send_plain(int signo);

    file& _file;
    watcher _watcher;
    bool _watching = false;
    bool _kills = false;  // SIGKILL was the signal, which is no matter of queues; signal_lock
};

constinit mutex changes;

told_file::~told_file() {
    if (_watching) {
        _file.poll_queue()->remove(_watcher);
    }
    if (settings.pool != nullptr) {
        irq_guard guard(the_process().signal_lock);
        settings.pool->abandon();
    }
    free_dead_pools();
}

void told_file::watch() {
    if (!_watching && _file.can_signal()) {
        _file.poll_queue()->add(_watcher);
        _watching = true;
    }
}

// Under the queue's lock, in any context. A wake-up for `unseen` tells nothing: another follows when the
// file has looked.
bool told_file::on_news(wait_entry& entry, u32 events) {
    if ((events & poll_event::unseen) == 0) {
        told_file& self = static_cast<watcher&>(entry).owner;
        bool kills = false;
        {
            irq_guard guard(the_process().signal_lock);
            self.tell(events);
            kills = self._kills;
        }
        signal_arrivals().wake_all();
        if (kills) {
            kill_process(signo::kill);
        }
    }
    return false;
}

void told_file::tell(u32 events) {
    if (settings.pid == 0) {
        return;
    }
    if (_file.as_socket() != nullptr) {
        tell_socket(events);
        return;
    }
    if (!settings.async) {
        return;
    }
    if (_file.readable() && (events & poll_event::in) != 0) {
        send(reason::input);
    }
    // A terminal takes up what comes soon enough that only who has found no room wants to know.
    const bool is_pipe = _file.as_pipe() != nullptr;
    if (_file.writable() && (events & poll_event::out) != 0 &&
        (is_pipe || wants_space.exchange(false))) {
        send(reason::output);
    }
}

// One signal for a wake-up, by the most that it says. SIGURG comes without O_ASYNC too; F_SETSIG's
// signal comes besides it, and no SIGIO does.
void told_file::tell_socket(u32 events) {
    if ((events & poll_event::pri) != 0) {
        send_plain(signo::urg);
    }
    if (!settings.async) {
        return;
    }
    if ((events & poll_event::pri) != 0 && settings.signo != 0) {
        send(reason::urgent);
    }
    if ((events & poll_event::error) != 0) {
        send(reason::error);
    } else if ((events & poll_event::hangup) != 0) {
        send(reason::hangup);
    } else if ((events & poll_event::in) != 0) {
        send(reason::input);
    } else if ((events & poll_event::out) != 0 && wants_space.exchange(false)) {
        send(reason::output);
    }
}

// Null for the process. False when the owner is nobody who takes signals.
bool told_file::target(task*& to) const {
    to = nullptr;
    switch (settings.kind) {
        case owner_kind::thread: to = find_task(settings.pid); return to != nullptr;
        case owner_kind::process: return settings.pid == process_id;
        case owner_kind::group: return settings.pid == the_process().group_id;
    }
    return false;
}

void told_file::send_plain(int signo) {
    task* to = nullptr;
    if (target(to)) {
        queue_signal(to, nullptr, signo);
    }
}

void told_file::send(reason why) {
    if (settings.signo != 0) {
        send_queued(why);
    } else {
        send_plain(signo::io);
    }
}

void told_file::send_queued(reason why) {
    task* to = nullptr;
    if (!target(to)) {
        return;
    }
    if (settings.signo == signo::kill) {
        _kills = true;
        return;
    }
    queued_signal* const entry = settings.pool->take();
    if (entry == nullptr) {
        return;
    }
    const int code = has_own_codes(settings.signo) ? si_code::sigio : static_cast<int>(why);
    entry->info = {.signo = settings.signo,
                   .code = code,
                   .poll = {.band = band_of(why), .fd = settings.fd}};
    if (!queue_signal(to, entry, settings.signo)) {
        signal_pool::give_back(*entry);
    }
}

// The file's, made if there is none. Under `changes`.
result<told_file*> told(file& open) {
    if (open.signals() == nullptr) {
        open.set_signals(TRY(make_unique<told_file>(open)));
    }
    return static_cast<told_file*>(open.signals());
}

signal_settings settings_of(file& open) {
    if (open.signals() == nullptr) {
        return {};
    }
    irq_guard guard(the_process().signal_lock);
    signal_settings found = static_cast<told_file*>(open.signals())->settings;
    // A thread that has ended owns nothing.
    if (found.kind == owner_kind::thread && find_task(found.pid) == nullptr) {
        found.pid = 0;
    }
    return found;
}

bool is_somebody(i32 pid) {
    if (pid == process_id || pid == the_process().group_id) {
        return true;
    }
    irq_guard guard(the_process().signal_lock);
    return find_task(pid) != nullptr;
}

// Under `changes`.
void put_owner(told_file& to, owner_kind kind, i32 pid) {
    const credentials& creds = the_process().creds;
    irq_guard guard(the_process().signal_lock);
    to.settings.kind = kind;
    to.settings.pid = pid;
    to.settings.uid = pid != 0 ? creds.ruid : 0;
    to.settings.euid = pid != 0 ? creds.euid : 0;
}

result<i64> change_owner(file& open, owner_kind kind, i32 pid) {
    if (pid != 0 && !is_somebody(pid)) {
        return err::srch;
    }
    lock_guard guard(changes);
    told_file& to = *TRY(told(open));
    put_owner(to, kind, pid);
    if (open.as_socket() != nullptr) {
        to.watch();  // urgent data is told without O_ASYNC
    }
    return 0;
}

// As F_SETOWN has it: a group is negative.
result<i64> set_owner(file& open, i32 pid) {
    if (pid == -0x7fff'ffff - 1) {
        return err::inval;
    }
    return pid < 0 ? change_owner(open, owner_kind::group, -pid)
                   : change_owner(open, owner_kind::process, pid);
}

i32 get_owner(file& open) {
    const signal_settings found = settings_of(open);
    return found.kind == owner_kind::group ? -found.pid : found.pid;
}

result<i64> set_owner_ex(file& open, u64 address) {
    const user_owner wanted = TRY(user_ptr<user_owner>(address).read());
    if (wanted.kind < 0 || wanted.kind > static_cast<i32>(owner_kind::group)) {
        return err::inval;
    }
    return change_owner(open, static_cast<owner_kind>(wanted.kind), wanted.pid);
}

result<i64> get_owner_ex(file& open, u64 address) {
    const signal_settings found = settings_of(open);
    TRY(user_ptr<user_owner>(address).write({static_cast<i32>(found.kind), found.pid}));
    return 0;
}

result<i64> get_owner_uids(file& open, u64 address) {
    const signal_settings found = settings_of(open);
    TRY(user_ptr<u32>(address).write(found.uid));
    TRY(user_ptr<u32>(address + sizeof(u32)).write(found.euid));
    return 0;
}

result<i64> set_signal(file& open, u64 wanted) {
    if (wanted > signal_limit) {
        return err::inval;
    }
    free_dead_pools();
    lock_guard guard(changes);
    told_file& to = *TRY(told(open));
    unique<signal_pool> made;
    if (wanted != 0 && to.settings.pool == nullptr) {
        made = TRY(make_unique<signal_pool>());
    }
    irq_guard locked(the_process().signal_lock);
    to.settings.signo = static_cast<int>(wanted);
    if (made) {
        to.settings.pool = made.leak();
    }
    return 0;
}

bool sets_owner(u32 command) {
    return command == commands::file_set_owner || command == commands::socket_set_owner;
}

}  // namespace

result<i64> signal_fcntl(file& open, u32 command, u64 argument) {
    switch (command) {
        case commands::set_owner: return set_owner(open, static_cast<i32>(argument));
        case commands::get_owner: return get_owner(open);
        case commands::set_owner_ex: return set_owner_ex(open, argument);
        case commands::get_owner_ex: return get_owner_ex(open, argument);
        case commands::get_owner_uids: return get_owner_uids(open, argument);
        case commands::set_signal: return set_signal(open, argument);
        case commands::get_signal: return settings_of(open).signo;
        default: return err::inval;
    }
}

result<void> set_async(file& open, int fd, bool on) {
    if (!open.can_signal() || on == ((open.flags() & open_flag::async) != 0)) {
        return {};
    }
    lock_guard guard(changes);
    told_file& to = *TRY(told(open));
    // A terminal without an owner gets the caller.
    if (on && open.is_terminal() && to.settings.pid == 0) {
        put_owner(to, owner_kind::process, process_id);
    }
    {
        irq_guard locked(the_process().signal_lock);
        to.settings.async = on;
        to.settings.fd = fd;
    }
    if (on) {
        to.watch();
    }
    open.set_flags(on ? open.flags() | open_flag::async : open.flags() & ~open_flag::async);
    return {};
}

result<i64> owner_ioctl(file& open, u32 command, u64 argument) {
    if (open.as_socket() == nullptr) {
        return err::notty;
    }
    if (sets_owner(command)) {
        return set_owner(open, TRY(user_ptr<i32>(argument).read()));
    }
    TRY(user_ptr<i32>(argument).write(get_owner(open)));
    return 0;
}

bool is_owner_ioctl(u32 command) {
    return sets_owner(command) || command == commands::file_get_owner ||
           command == commands::socket_get_owner;
}

}  // namespace kiln
