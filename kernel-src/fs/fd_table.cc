// The table is an array of chunks that are made at the first use and stay; so growing moves
// nothing. _lock guards slots and bitmaps. References that leave the table are dropped after it is
// released, because dropping the last one runs the file's destructor, which may sleep.
#include "fs/fd_table.hh"

#include <bit>

#include "core/spinlock.hh"

namespace kiln::descriptors {
namespace {

constexpr u32 chunk_slots = 512;
constexpr u32 chunk_words = chunk_slots / 64;
constexpr u32 chunk_count = hard_maximum / chunk_slots;

struct chunk {
    file* slots[chunk_slots] = {};
    u64 used[chunk_words] = {};
    u64 cloexec[chunk_words] = {};
};

class table {
public:
    result<ref<file>> get(int fd);
    result<int> install(ref<file> what, bool cloexec, u32 lowest);
    result<void> install_at(int fd, ref<file> what, bool cloexec);
    ref<file> remove(u32 fd);
    result<bool> close_on_exec(int fd);
    result<void> set_close_on_exec(int fd, bool value);
    u32 open_count();
    int next_open(u32 from);
    u32 slot_count() const { return _slots; }

private:
    bool is_open(u32 fd) const {
        const chunk* in = fd < hard_maximum ? _chunks[fd / chunk_slots].load() : nullptr;
        return in != nullptr && in->slots[fd % chunk_slots] != nullptr;
    }
    chunk& chunk_of(u32 fd) { return *_chunks[fd / chunk_slots].load(std::memory_order_relaxed); }
    result<void> make_chunk(u32 fd);
    // The lowest free number from `from`, of which the chunk may be missing.
    u32 find_free(u32 from) const;
    void set_slot(u32 fd, file* what, bool cloexec);

    spinlock _lock;
    std::atomic<chunk*> _chunks[chunk_count] = {};
    u32 _slots = 0;      // every number from here on is in a chunk that is not there
    u32 _free_hint = 0;  // everything below is in use
    u32 _open = 0;
};

constinit table the_table;
constinit std::atomic<u32> descriptor_limit{1024};

void set_bit(u64* words, u32 bit, bool value) {
    const u64 mask = u64{1} << (bit % 64);
    words[bit / 64] = value ? words[bit / 64] | mask : words[bit / 64] & ~mask;
}

result<ref<file>> table::get(int fd) {
    const u32 number = static_cast<u32>(fd);
    lock_guard guard(_lock);
    if (!is_open(number)) {
        return err::badf;
    }
    return ref<file>(chunk_of(number).slots[number % chunk_slots]);
}

result<void> table::make_chunk(u32 fd) {
    auto* made = new (std::nothrow) chunk;
    if (made == nullptr) {
        return err::nomem;
    }
    {
        lock_guard guard(_lock);
        std::atomic<chunk*>& place = _chunks[fd / chunk_slots];
        if (place == nullptr) {
            place = std::exchange(made, nullptr);
            _slots = std::max(_slots, (fd / chunk_slots + 1) * chunk_slots);
        }
    }
    delete made;
    return {};
}

u32 table::find_free(u32 from) const {
    for (u32 at = from; at < hard_maximum;) {
        const chunk* in = _chunks[at / chunk_slots];
        if (in == nullptr) {
            return at;
        }
        const u32 bit = at % 64;
        const u64 free = ~in->used[at % chunk_slots / 64] >> bit;
        if (free != 0) {
            return at + static_cast<u32>(std::countr_zero(free));
        }
        at += 64 - bit;
    }
    return hard_maximum;
}

void table::set_slot(u32 fd, file* what, bool cloexec) {
    chunk& in = chunk_of(fd);
    const u32 slot = fd % chunk_slots;
    _open += (what != nullptr ? 1u : 0u) - (in.slots[slot] != nullptr ? 1u : 0u);
    in.slots[slot] = what;
    set_bit(in.used, slot, what != nullptr);
    set_bit(in.cloexec, slot, cloexec);
    if (what == nullptr && fd < _free_hint) {
        _free_hint = fd;
    } else if (what != nullptr && fd == _free_hint) {
        ++_free_hint;
    }
}

result<int> table::install(ref<file> what, bool cloexec, u32 lowest) {
    while (true) {
        u32 fd = 0;
        {
            lock_guard guard(_lock);
            fd = find_free(lowest < _free_hint ? _free_hint : lowest);
            if (fd >= limit()) {
                return err::mfile;
            }
            if (_chunks[fd / chunk_slots] != nullptr) {
                set_slot(fd, what.leak(), cloexec);
                return static_cast<int>(fd);
            }
        }
        TRY(make_chunk(fd));
    }
}

result<void> table::install_at(int fd, ref<file> what, bool cloexec) {
    const u32 number = static_cast<u32>(fd);
    if (number >= limit() || number >= hard_maximum) {
        return err::badf;
    }
    if (_chunks[number / chunk_slots] == nullptr) {
        TRY(make_chunk(number));
    }
    ref<file> before;
    {
        lock_guard guard(_lock);
        before = ref<file>::adopt(chunk_of(number).slots[number % chunk_slots]);
        set_slot(number, what.leak(), cloexec);
    }
    if (before) {
        before->descriptor_closed();
    }
    return {};
}

ref<file> table::remove(u32 fd) {
    lock_guard guard(_lock);
    if (!is_open(fd)) {
        return nullptr;
    }
    ref<file> taken = ref<file>::adopt(chunk_of(fd).slots[fd % chunk_slots]);
    set_slot(fd, nullptr, false);
    return taken;
}

result<bool> table::close_on_exec(int fd) {
    const u32 number = static_cast<u32>(fd);
    lock_guard guard(_lock);
    if (!is_open(number)) {
        return err::badf;
    }
    const u64 word = chunk_of(number).cloexec[number % chunk_slots / 64];
    return (word >> (number % 64) & 1) != 0;
}

result<void> table::set_close_on_exec(int fd, bool value) {
    const u32 number = static_cast<u32>(fd);
    lock_guard guard(_lock);
    if (!is_open(number)) {
        return err::badf;
    }
    set_bit(chunk_of(number).cloexec, number % chunk_slots, value);
    return {};
}

u32 table::open_count() {
    lock_guard guard(_lock);
    return _open;
}

int table::next_open(u32 from) {
    lock_guard guard(_lock);
    for (u32 at = from; at < hard_maximum;) {
        const chunk* in = _chunks[at / chunk_slots];
        if (in == nullptr) {
            at = align_down(at, chunk_slots) + chunk_slots;
            continue;
        }
        const u64 used = in->used[at % chunk_slots / 64] >> (at % 64);
        if (used != 0) {
            return static_cast<int>(at + static_cast<u32>(std::countr_zero(used)));
        }
        at += 64 - at % 64;
    }
    return -1;
}

}  // namespace

result<ref<file>> get(int fd) {
    return the_table.get(fd);
}

result<int> install(ref<file> what, bool cloexec, u32 lowest) {
    return the_table.install(std::move(what), cloexec, lowest);
}

result<void> install_pair(ref<file> first, ref<file> second, bool cloexec, int (&fds)[2]) {
    fds[0] = TRY(install(std::move(first), cloexec));
    auto other = install(std::move(second), cloexec);
    if (!other.ok()) {
        static_cast<void>(close(fds[0]));
        return other.error();
    }
    fds[1] = other.value();
    return {};
}

result<void> install_at(int fd, ref<file> what, bool cloexec) {
    return the_table.install_at(fd, std::move(what), cloexec);
}

result<void> close(int fd) {
    ref<file> taken = the_table.remove(static_cast<u32>(fd));
    if (!taken) {
        return err::badf;
    }
    taken->descriptor_closed();
    return {};
}

void close_range(u32 first, u32 last, bool mark_only) {
    int fd = the_table.next_open(first);
    while (fd >= 0 && static_cast<u32>(fd) <= last) {
        if (mark_only) {
            static_cast<void>(the_table.set_close_on_exec(fd, true));
        } else {
            static_cast<void>(close(fd));
        }
        fd = the_table.next_open(static_cast<u32>(fd) + 1);
    }
}

void close_all() {
    close_range(0, hard_maximum, false);
}

result<bool> close_on_exec(int fd) {
    return the_table.close_on_exec(fd);
}

result<void> set_close_on_exec(int fd, bool value) {
    return the_table.set_close_on_exec(fd, value);
}

u32 limit() {
    return descriptor_limit.load(std::memory_order_relaxed);
}

void set_limit(u32 wanted) {
    descriptor_limit.store(wanted < hard_maximum ? wanted : hard_maximum,
                           std::memory_order_relaxed);
}

u32 open_count() {
    return the_table.open_count();
}

int next_open(u32 from) {
    return the_table.next_open(from);
}

u32 slot_count() {
    return the_table.slot_count();
}

}  // namespace kiln::descriptors
