// System V shared memory: segments with a key or without, attached and let go of.
//
// There is one process, so a segment is shared between its threads and its own mappings, which is what
// programs want that allocate in this way. A segment that was removed lives until nothing maps it; one
// that munmap let go of last is noticed at the next of these calls.
// Numbers and layouts: Linux, include/uapi/linux/{ipc,shm}.h. Lock: `_lock`, a sleeping one, around the
// table; it comes before the address space's. No user memory is touched under it. Context: threads.
#include <algorithm>

#include "core/clock.hh"
#include "core/mutex.hh"
#include "core/page.hh"
#include "lib/format.hh"
#include "lib/vector.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"
#include "mm/address_space.hh"
#include "mm/shared_memory.hh"

namespace kiln {
namespace {

constexpr u64 most_bytes = ~u64{0} - (u64{1} << 24);  // SHMMAX
constexpr u32 most_segments = 4096;                   // SHMMNI
constexpr u32 sequence_shift = 15;                    // of an id, above the index

namespace get_flag {
constexpr u32 create = 01000, exclusive = 02000, huge = 04000;
}
namespace attach_flag {
constexpr u32 read_only = 010000, round = 020000, remap = 040000, execute = 0100000;
}
namespace mode_flag {
constexpr u32 permissions = 0777, doomed = 01000, locked = 02000;
}
namespace command {
constexpr u32 remove = 0, set = 1, stat = 2, limits = 3, lock = 11, unlock = 12, stat_index = 13,
              totals = 14, stat_any = 15;
}
namespace access {
constexpr u32 read = 0444, write = 0222;
}

// struct shmid64_ds of the ABI, with its struct ipc64_perm.
struct user_segment {
    i32 key = 0;
    u32 uid = 0, gid = 0, creator_uid = 0, creator_gid = 0;
    u32 mode = 0;
    u16 sequence = 0;
    u16 unused[3] = {};
    u64 reserved[2] = {};
    u64 size = 0;
    i64 attached_at = 0, detached_at = 0, changed_at = 0;
    i32 creator = 0, last_user = 0;
    u64 attachments = 0;
    u64 more_reserved[2] = {};
};
static_assert(sizeof(user_segment) == 112);

struct user_limits {
    u64 most_bytes, least_bytes, most_segments, most_attached, most_pages;
    u64 unused[4];
};

struct user_totals {
    i32 segments;
    u64 pages, resident, swapped, swap_attempts, swap_successes;
};

struct segment {
    user_segment facts;
    ref<vm_object> memory;
    char name[24] = {};  // what /proc/self/maps shows

    u64 attachments() const { return memory->mappings.load(std::memory_order_acquire); }
    bool is_doomed() const { return (facts.mode & mode_flag::doomed) != 0; }
};

credentials who() {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    return self.creds;
}

bool in_group(const credentials& asking, u32 group) {
    const auto* const end = asking.groups + asking.group_count;
    return asking.egid == group || std::find(asking.groups, end, group) != end;
}

result<void> check_access(const user_segment& facts, u32 wanted) {
    const credentials asking = who();
    u32 granted = facts.mode;
    if (asking.euid == facts.uid || asking.euid == facts.creator_uid) {
        granted >>= 6;
    } else if (in_group(asking, facts.gid) || in_group(asking, facts.creator_gid)) {
        granted >>= 3;
    }
    const bool allowed = (wanted & ~granted & 7) == 0 || is_capable(capability::ipc_owner);
    return allowed ? result<void>() : err::acces;
}

// Who may change or remove a segment.
bool is_owner(const user_segment& facts, u32 capability) {
    const u32 asking = who().euid;
    return asking == facts.uid || asking == facts.creator_uid || is_capable(capability);
}

i64 seconds_now() {
    return static_cast<i64>(realtime_now() / ns_per_s);
}

class segment_table {
public:
    result<i64> get(i32 key, u64 size, u32 flags);
    result<i64> attach(i32 id, u64 address, u32 flags);
    result<i64> detach(u64 address);
    result<i64> remove(i32 id);
    result<i64> set(i32 id, const user_segment& wanted);
    result<i64> set_locked(i32 id, bool locked);
    // The id, or with `by_index` that of what lies at the index.
    result<i64> status(i32 id, bool by_index, bool anybody, user_segment& to);
    // The highest index in use.
    i64 totals(user_totals& to);

private:
    struct attachment {
        segment* of = nullptr;
        u64 start = 0, length = 0;
    };

    void reap();
    segment* find_key(i32 key);
    result<segment*> find(i32 id);
    result<i64> make(i32 key, u64 size, u32 flags);
    result<u32> free_index();
    result<i64> map(segment& which, u64 address, u32 flags);
    segment* owner_of(const vm_object* memory);
    attachment next_attachment(u64 address, const segment* of, u64 from);

    mutex _lock;
    vector<segment*> _segments;  // by index; null where there is none
    u32 _last_index = 0;
    u16 _sequence = 0;
};

constinit segment_table the_table;

// What was removed and is mapped nowhere ends.
void segment_table::reap() {
    for (segment*& each : _segments) {
        if (each != nullptr && each->is_doomed() && each->attachments() == 0) {
            delete std::exchange(each, nullptr);
        }
    }
}

segment* segment_table::find_key(i32 key) {
    auto* const found = std::find_if(_segments.begin(), _segments.end(), [=](const segment* each) {
        return each != nullptr && each->facts.key == key && !each->is_doomed();
    });
    return found == _segments.end() ? nullptr : *found;
}

result<segment*> segment_table::find(i32 id) {
    reap();
    const u32 index = static_cast<u32>(id) & ((1u << sequence_shift) - 1);
    if (id < 0 || index >= _segments.size() || _segments[index] == nullptr) {
        return err::inval;
    }
    if (_segments[index]->facts.sequence != static_cast<u32>(id) >> sequence_shift) {
        return err::idrm;
    }
    return _segments[index];
}

result<u32> segment_table::free_index() {
    auto* const free = std::find(_segments.begin(), _segments.end(), nullptr);
    const u32 index = static_cast<u32>(free - _segments.begin());
    if (index == most_segments) {
        return err::nospc;
    }
    if (index == _segments.size()) {
        TRY(_segments.push_back(nullptr));
    }
    return index;
}

result<i64> segment_table::make(i32 key, u64 size, u32 flags) {
    if (size == 0 || size > most_bytes) {
        return err::inval;
    }
    if ((flags & get_flag::huge) != 0 || align_up(size, page_size) >> page_shift > memory_now().total_pages) {
        return err::nomem;  // as where no huge pages are reserved
    }
    const u32 index = TRY(free_index());
    unique<segment> made(new (std::nothrow) segment);
    if (!made) {
        return err::nomem;
    }
    made->memory = TRY(make_shared_memory(align_up(size, page_size)));
    if (index <= _last_index) {
        _sequence = static_cast<u16>(_sequence + 1);  // so that an id is not soon another's
    }
    _last_index = index;
    const credentials creator = who();
    user_segment& facts = made->facts;
    facts.key = key;
    facts.uid = facts.creator_uid = creator.euid;
    facts.gid = facts.creator_gid = creator.egid;
    facts.mode = flags & mode_flag::permissions;
    facts.sequence = _sequence;
    facts.size = size;
    facts.changed_at = seconds_now();
    facts.creator = process_id;
    format_to(std::span(made->name).first(sizeof(made->name) - 1), "/SYSV{:08x} (deleted)",
              static_cast<u32>(key));
    _segments[index] = made.leak();
    return static_cast<i64>(static_cast<u32>(facts.sequence) << sequence_shift | index);
}

result<i64> segment_table::get(i32 key, u64 size, u32 flags) {
    constexpr i32 without_key = 0;  // IPC_PRIVATE
    constexpr u32 fresh = get_flag::create | get_flag::exclusive;
    lock_guard guard(_lock);
    reap();
    segment* const found = key == without_key ? nullptr : find_key(key);
    if (found == nullptr) {
        const bool wanted = key == without_key || (flags & get_flag::create) != 0;
        return wanted ? make(key, size, flags) : result<i64>(err::noent);
    }
    if ((flags & fresh) == fresh) {
        return err::exist;
    }
    if (size > found->facts.size) {
        return err::inval;
    }
    TRY(check_access(found->facts, flags));
    const auto index = std::find(_segments.begin(), _segments.end(), found) - _segments.begin();
    return static_cast<i64>(found->facts.sequence) << sequence_shift | index;
}

result<i64> segment_table::map(segment& which, u64 address, u32 flags) {
    const bool writable = (flags & attach_flag::read_only) == 0;
    const u32 exec = (flags & attach_flag::execute) != 0 ? prot::exec : 0;
    map_request request;
    request.address = address;
    request.length = align_up(which.facts.size, page_size);
    request.protection = prot::read | (writable ? prot::write : 0) | exec;
    request.max_protection = writable ? prot::all : prot::all & ~prot::write;
    request.flags = vma_flag::shared;
    if (address != 0) {
        request.where = (flags & attach_flag::remap) != 0 ? placement::fixed
                                                          : placement::fixed_noreplace;
    }
    request.object = which.memory;
    request.name = which.name;
    result<u64> mapped = the_address_space().map(std::move(request));
    if (!mapped.ok()) {
        return mapped.error() == err::exist ? err::inval : mapped.error();
    }
    which.facts.attached_at = seconds_now();
    which.facts.last_user = process_id;
    return static_cast<i64>(mapped.value());
}

result<i64> segment_table::attach(i32 id, u64 address, u32 flags) {
    if (!is_aligned(address, page_size)) {
        if ((flags & attach_flag::round) == 0) {
            return err::inval;
        }
        address = align_down(address, page_size);
    }
    if (address == 0 && (flags & attach_flag::remap) != 0) {
        return err::inval;
    }
    u32 wanted = access::read | ((flags & attach_flag::read_only) == 0 ? access::write : 0);
    wanted |= (flags & attach_flag::execute) != 0 ? 0111 : 0;
    lock_guard guard(_lock);
    segment& which = *TRY(find(id));
    TRY(check_access(which.facts, wanted));
    return map(which, address, flags);
}

segment* segment_table::owner_of(const vm_object* memory) {
    auto* const found = std::find_if(_segments.begin(), _segments.end(), [=](const segment* each) {
        return each != nullptr && memory != nullptr && each->memory.get() == memory;
    });
    return found == _segments.end() ? nullptr : *found;
}

// The first area from `from` on of what was attached at the address: of any segment, or of that one.
segment_table::attachment segment_table::next_attachment(u64 address, const segment* of, u64 from) {
    attachment found;
    the_address_space().for_each_area([&](const vma& area) {
        if (found.of == nullptr && area.start >= from && area.start - area.offset == address) {
            segment* const owner = owner_of(area.object.get());
            if (owner != nullptr && (of == nullptr || owner == of)) {
                found = {owner, area.start, area.size()};
            }
        }
    });
    return found;
}

result<i64> segment_table::detach(u64 address) {
    if (!is_aligned(address, page_size)) {
        return err::inval;
    }
    lock_guard guard(_lock);
    attachment area = next_attachment(address, nullptr, 0);
    if (area.of == nullptr) {
        return err::inval;
    }
    segment& which = *area.of;
    // The program may have split it by mprotect, or unmapped parts.
    while (area.of != nullptr) {
        TRY(the_address_space().unmap(area.start, area.length));
        area = next_attachment(address, &which, area.start + area.length);
    }
    which.facts.detached_at = seconds_now();
    which.facts.last_user = process_id;
    reap();
    return 0;
}

result<i64> segment_table::remove(i32 id) {
    lock_guard guard(_lock);
    segment& which = *TRY(find(id));
    if (!is_owner(which.facts, capability::sys_admin)) {
        return err::perm;
    }
    which.facts.mode |= mode_flag::doomed;
    which.facts.key = 0;  // others may have it now
    reap();
    return 0;
}

result<i64> segment_table::set(i32 id, const user_segment& wanted) {
    lock_guard guard(_lock);
    user_segment& facts = TRY(find(id))->facts;
    if (!is_owner(facts, capability::sys_admin)) {
        return err::perm;
    }
    facts.uid = wanted.uid;
    facts.gid = wanted.gid;
    facts.mode = (facts.mode & ~mode_flag::permissions) | (wanted.mode & mode_flag::permissions);
    facts.changed_at = seconds_now();
    return 0;
}

// Nothing is ever swapped out here, so that it is only shown.
result<i64> segment_table::set_locked(i32 id, bool locked) {
    lock_guard guard(_lock);
    user_segment& facts = TRY(find(id))->facts;
    if (!is_owner(facts, capability::ipc_lock)) {
        return err::perm;
    }
    facts.mode = locked ? facts.mode | mode_flag::locked : facts.mode & ~mode_flag::locked;
    return 0;
}

result<i64> segment_table::status(i32 id, bool by_index, bool anybody, user_segment& to) {
    lock_guard guard(_lock);
    reap();
    const u32 index = static_cast<u32>(id);
    if (by_index) {
        if (index >= _segments.size() || _segments[index] == nullptr) {
            return err::inval;
        }
        id = static_cast<i32>(static_cast<u32>(_segments[index]->facts.sequence) << sequence_shift |
                              index);
    }
    const segment& which = *TRY(find(id));
    if (!anybody) {
        TRY(check_access(which.facts, access::read));
    }
    to = which.facts;
    to.attachments = which.attachments();
    return by_index ? id : 0;
}

i64 segment_table::totals(user_totals& to) {
    lock_guard guard(_lock);
    reap();
    i64 highest = 0;
    for (usize index = 0; index < _segments.size(); ++index) {
        if (_segments[index] != nullptr) {
            ++to.segments;
            to.pages += _segments[index]->memory->size() >> page_shift;
            highest = static_cast<i64>(index);
        }
    }
    return highest;
}

result<i64> tell_limits(u64 to) {
    const user_limits told{.most_bytes = most_bytes,
                           .least_bytes = 1,
                           .most_segments = most_segments,
                           .most_attached = most_segments,
                           .most_pages = most_bytes,
                           .unused = {}};
    TRY(user_ptr<user_limits>(to).write(told));
    user_totals unused{};
    return the_table.totals(unused);
}

result<i64> tell_totals(u64 to) {
    user_totals told{};
    const i64 highest = the_table.totals(told);
    TRY(user_ptr<user_totals>(to).write(told));
    return highest;
}

result<i64> tell_status(i32 id, u32 asked, u64 to) {
    user_segment told;
    const i64 found = TRY(
        the_table.status(id, asked != command::stat, asked == command::stat_any, told));
    TRY(user_ptr<user_segment>(to).write(told));
    return found;
}

}  // namespace

SYSCALL(shmget, i32 key, u64 size, u32 flags) {
    return the_table.get(key, size, flags);
}

SYSCALL(shmat, i32 id, u64 address, u32 flags) {
    return the_table.attach(id, address, flags);
}

SYSCALL(shmdt, u64 address) {
    return the_table.detach(address);
}

SYSCALL(shmctl, i32 id, u32 asked, u64 argument) {
    if (id < 0 || static_cast<i32>(asked) < 0) {
        return err::inval;
    }
    switch (asked) {
        case command::limits: return tell_limits(argument);
        case command::totals: return tell_totals(argument);
        case command::stat:
        case command::stat_index:
        case command::stat_any: return tell_status(id, asked, argument);
        case command::set: return the_table.set(id, TRY(user_ptr<user_segment>(argument).read()));
        case command::remove: return the_table.remove(id);
        case command::lock:
        case command::unlock: return the_table.set_locked(id, asked == command::lock);
        default: return err::inval;
    }
}

}  // namespace kiln
