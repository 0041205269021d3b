// One spin lock for the whole tree: what is done under it is a few loads and stores. Objects whose
// last reference may go are handed out and dropped after it.
#include "fs/dentry.hh"

#include <algorithm>

#include "core/spinlock.hh"
#include "fs/vfs.hh"

namespace kiln {

// Entries that only the cache refers to are freed when there are more than this many in all.
constexpr usize cache_limit = 32768;
constexpr usize bucket_count = 4096;

class dentry_cache {
public:
    static u32 hash_of(const dentry& parent, std::string_view name);

    ref<dentry> find(dentry& parent, std::string_view name);
    void insert(dentry& entry);
    // Returns the cache's reference.
    ref<dentry> take_out(dentry& entry);
    ref<dentry> find_inode(const superblock& filesystem, u64 number);
    dentry* find_locked(const dentry& parent, std::string_view name, u32 hash);

    static void set_mounted(dentry& on, ref<dentry> root, ref<dentry>& before) {
        before = std::exchange(on._mounted, std::move(root));
    }
    static void set_covered(dentry& root, ref<dentry> on) { root._covered = std::move(on); }
    static void set_mount_id(dentry& root, u64 id) { root._mount_id = id; }
    static dentry* mounted(const dentry& entry) { return entry._mounted.get(); }
    static dentry* covered(const dentry& entry) { return entry._covered.get(); }
    static dentry* parent(const dentry& entry) { return entry._parent.get(); }
    static std::string_view name(const dentry& entry) { return entry._name.view(); }
    static void set_target(dentry& entry, ref<inode> target) { entry._target = std::move(target); }
    static void set_removed(dentry& entry) { entry._removed.store(true); }
    static void set_synthetic(dentry& entry);
    static void rehang(dentry& entry, ref<dentry>& parent, string& name);
    void rehash(dentry& entry);
    usize shrink(usize limit);
    bool too_many() const { return _count > cache_limit; }
    bool list_synthetic(dentry& directory, directory_sink& sink, u64 first_cookie, u64 after);

    spinlock lock;

private:
    using bucket = list<dentry, &dentry::_hash_link>;

    // Buckets are made at the first use, because an empty list is not all zeros.
    bucket& bucket_of(u32 hash) { return _buckets[hash % bucket_count]; }
    bool idle(const dentry& entry) const {
        return entry.reference_count() == 1 && !entry._mounted && !entry._synthetic;
    }

    bucket _buckets[bucket_count];
    list<dentry, &dentry::_lru_link> _lru;
    usize _count = 0;
};

namespace {

dentry_cache& cache() {
    alignas(dentry_cache) static constinit std::byte storage[sizeof(dentry_cache)] = {};
    static constinit std::atomic<u32> state{0};
    if (state.load(std::memory_order_acquire) != 2) {
        u32 expected = 0;
        if (state.compare_exchange_strong(expected, 1)) {
            new (storage) dentry_cache;
            state.store(2, std::memory_order_release);
        }
        while (state.load(std::memory_order_acquire) != 2) {
            cpu_relax();
        }
    }
    return *reinterpret_cast<dentry_cache*>(storage);
}

}  // namespace

dentry::~dentry() = default;

ref<dentry> dentry::parent() const {
    lock_guard guard(cache().lock);
    return _parent;
}

result<string> dentry::name() const {
    // The name may change while memory is allocated for the copy.
    char text[name_max];
    usize length = 0;
    {
        lock_guard guard(cache().lock);
        length = std::min(_name.size(), sizeof(text));
        std::copy_n(_name.c_str(), length, text);
    }
    return string::copy({text, length});
}

// FNV-1a over the name, from the parent's address.
u32 dentry_cache::hash_of(const dentry& parent, std::string_view name) {
    u64 hash = 0xcbf29ce484222325 ^ (reinterpret_cast<u64>(&parent) >> 4);
    for (const char byte : name) {
        hash = (hash ^ static_cast<u8>(byte)) * 0x100000001b3;
    }
    return static_cast<u32>(hash ^ (hash >> 32));
}

dentry* dentry_cache::find_locked(const dentry& parent, std::string_view name, u32 hash) {
    for (dentry& entry : bucket_of(hash)) {
        if (entry._hash == hash && entry._parent == &parent && entry._name.view() == name) {
            return &entry;
        }
    }
    return nullptr;
}

ref<dentry> dentry_cache::find(dentry& parent, std::string_view name) {
    const u32 hash = hash_of(parent, name);
    lock_guard guard(lock);
    dentry* const entry = find_locked(parent, name, hash);
    if (entry != nullptr) {
        entry->_used = true;
    }
    return ref<dentry>(entry);
}

void dentry_cache::insert(dentry& entry) {
    entry._hash = hash_of(*entry._parent, entry._name.view());
    entry._hashed = true;
    entry.add_reference();
    bucket_of(entry._hash).push_front(entry);
    _lru.push_back(entry);
    ++_count;
}

ref<dentry> dentry_cache::take_out(dentry& entry) {
    if (!entry._hashed) {
        return nullptr;
    }
    entry._hashed = false;
    entry._hash_link.unlink();
    entry._lru_link.unlink();
    --_count;
    return ref<dentry>::adopt(&entry);
}

void dentry_cache::rehash(dentry& entry) {
    if (entry._hashed) {
        entry._hash_link.unlink();
        entry._hash = hash_of(*entry._parent, entry._name.view());
        bucket_of(entry._hash).push_front(entry);
    }
}

void dentry_cache::rehang(dentry& entry, ref<dentry>& parent, string& name) {
    std::swap(entry._parent, parent);
    string old = std::move(entry._name);
    entry._name = std::move(name);
    name = std::move(old);
}

void dentry_cache::set_synthetic(dentry& entry) {
    entry._synthetic = true;
    ++entry._parent->_synthetic_children;
}

usize dentry_cache::shrink(usize limit) {
    list<dentry, &dentry::_lru_link> freed;
    usize taken = 0;
    {
        lock_guard guard(lock);
        for (usize left = _count; left > 0 && taken < limit; --left) {
            dentry* const entry = _lru.pop_front();
            if (entry->_used || !idle(*entry)) {
                entry->_used = false;
                _lru.push_back(*entry);
                continue;
            }
            entry->_hashed = false;
            entry->_hash_link.unlink();
            --_count;
            freed.push_back(*entry);
            ++taken;
        }
    }
    while (dentry* const entry = freed.pop_front()) {
        entry->drop_reference();
    }
    return taken;
}

bool dentry_cache::list_synthetic(dentry& directory, directory_sink& sink, u64 first_cookie,
                                  u64 after) {
    struct found {
        ref<dentry> entry;
    };
    // There are only as many as mount points that the image lacks.
    for (u64 number = 0;; ++number) {
        ref<dentry> entry;
        {
            lock_guard guard(lock);
            u64 seen = 0;
            for (dentry& one : _lru) {
                if (one._synthetic && one._parent == &directory && seen++ == number) {
                    entry = ref<dentry>(&one);
                    break;
                }
            }
        }
        if (!entry) {
            return true;
        }
        const u64 cookie = first_cookie + number;
        if (cookie > after && !sink.add({entry->_name.view(), entry->_target->number,
                                         directory_entry_type(entry->_target->mode), cookie})) {
            return false;
        }
    }
}

// Looks at every entry: for messages only.
ref<dentry> dentry_cache::find_inode(const superblock& filesystem, u64 number) {
    lock_guard guard(lock);
    for (dentry& one : _lru) {
        const inode* const target = one._target.get();
        if (target != nullptr && &target->filesystem == &filesystem && target->number == number) {
            return ref<dentry>(&one);
        }
    }
    return nullptr;
}

namespace dcache {

ref<dentry> find(dentry& parent, std::string_view name) {
    return cache().find(parent, name);
}

result<ref<dentry>> enter(dentry& parent, std::string_view name, ref<inode> target, bool keep) {
    string copy = TRY(string::copy(name));
    ref<dentry> made =
        TRY(make_ref<dentry>(ref<dentry>(&parent), std::move(copy), std::move(target)));
    if (!keep) {
        return made;
    }
    bool full = false;
    {
        lock_guard guard(cache().lock);
        dentry* const other =
            cache().find_locked(parent, name, dentry_cache::hash_of(parent, name));
        if (other != nullptr) {
            // `made` goes after the lock: it is an own variable, returned only below.
            return ref<dentry>(other);
        }
        cache().insert(*made);
        full = cache().too_many();
    }
    if (full) {
        shrink(cache_limit / 16);
    }
    return made;
}

result<ref<dentry>> make_root(ref<inode> target) {
    return make_ref<dentry>(ref<dentry>(), string(), std::move(target));
}

void make_positive(dentry& entry, ref<inode> target) {
    lock_guard guard(cache().lock);
    dentry_cache::set_target(entry, std::move(target));
}

void remove(dentry& entry) {
    ref<dentry> dropped;
    lock_guard guard(cache().lock);
    dentry_cache::set_removed(entry);
    dropped = cache().take_out(entry);
}

result<void> move(dentry& entry, dentry& new_parent, std::string_view new_name) {
    string name = TRY(string::copy(new_name));
    ref<dentry> parent(&new_parent);
    lock_guard guard(cache().lock);
    dentry_cache::rehang(entry, parent, name);
    cache().rehash(entry);
    return {};
}

void exchange(dentry& left, dentry& right) {
    ref<dentry> parent = left.parent();
    lock_guard guard(cache().lock);
    string name;
    dentry_cache::rehang(left, parent, name);   // left is nowhere, we hold its place
    dentry_cache::rehang(right, parent, name);  // right has it, we hold right's old place
    dentry_cache::rehang(left, parent, name);
    cache().rehash(left);
    cache().rehash(right);
}

bool is_ancestor(const dentry& ancestor, const dentry& entry) {
    lock_guard guard(cache().lock);
    for (const dentry* at = &entry; at != nullptr;) {
        if (at == &ancestor) {
            return true;
        }
        const dentry* const covered = dentry_cache::covered(*at);
        at = covered != nullptr ? covered : dentry_cache::parent(*at);
    }
    return false;
}

ref<dentry> top_of(ref<dentry> entry) {
    lock_guard guard(cache().lock);
    dentry* top = entry.get();
    while (dentry* const mounted = dentry_cache::mounted(*top)) {
        top = mounted;
    }
    return top == entry.get() ? std::move(entry) : ref<dentry>(top);
}

ref<dentry> up(const dentry& entry) {
    lock_guard guard(cache().lock);
    const dentry* at = &entry;
    while (dentry* const covered = dentry_cache::covered(*at)) {
        at = covered;
    }
    dentry* const parent = dentry_cache::parent(*at);
    return ref<dentry>(parent != nullptr ? parent : const_cast<dentry*>(at));
}

result<void> mount(dentry& on, dentry& root, u64 id) {
    ref<dentry> before;
    ref<dentry> top(&root);
    lock_guard guard(cache().lock);
    if (dentry_cache::mounted(on) != nullptr) {
        return err::busy;
    }
    dentry_cache::set_mounted(on, std::move(top), before);
    dentry_cache::set_covered(root, ref<dentry>(&on));
    dentry_cache::set_mount_id(root, id);
    return {};
}

void unmount(dentry& root) {
    ref<dentry> before;
    ref<dentry> on;
    lock_guard guard(cache().lock);
    on = ref<dentry>(dentry_cache::covered(root));
    if (on) {
        dentry_cache::set_mounted(*on, nullptr, before);
        dentry_cache::set_covered(root, nullptr);
    }
}

bool is_mount_point(const dentry& entry) {
    lock_guard guard(cache().lock);
    return dentry_cache::mounted(entry) != nullptr;
}

void mark_synthetic(dentry& entry) {
    lock_guard guard(cache().lock);
    dentry_cache::set_synthetic(entry);
}

bool list_synthetic(dentry& directory, directory_sink& sink, u64 first_cookie, u64 after) {
    return cache().list_synthetic(directory, sink, first_cookie, after);
}

result<std::string_view> path_of(const dentry& entry, const dentry* root, std::span<char> buffer) {
    usize at = buffer.size();
    lock_guard guard(cache().lock);
    const dentry* walked = &entry;
    while (walked != root) {
        if (const dentry* const covered = dentry_cache::covered(*walked)) {
            walked = covered;
            continue;
        }
        const dentry* const parent = dentry_cache::parent(*walked);
        if (parent == nullptr) {
            break;
        }
        const std::string_view name = dentry_cache::name(*walked);
        if (name.size() + 1 > at) {
            return err::range;
        }
        at -= name.size();
        std::copy(name.begin(), name.end(), buffer.begin() + at);
        buffer[--at] = '/';
        walked = parent;
    }
    if (at == buffer.size()) {
        if (at == 0) {
            return err::range;
        }
        buffer[--at] = '/';
    }
    return std::string_view(buffer.data() + at, buffer.size() - at);
}

std::string_view path_of_inode(const superblock& filesystem, u64 number, std::span<char> buffer) {
    const ref<dentry> found = cache().find_inode(filesystem, number);
    if (!found) {
        return {};
    }
    const result<std::string_view> path = path_of(*found, nullptr, buffer);
    return path.ok() ? path.value() : std::string_view();
}

usize shrink(usize limit) {
    return cache().shrink(limit);
}

}  // namespace dcache
}  // namespace kiln
