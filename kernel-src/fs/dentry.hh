// The dentry cache: names in the tree, positive and negative, and what is mounted on them.
//
// A file system is mounted at one place only, so a dentry alone says where one is. The cache holds
// a reference to each dentry that can be found by name; a dentry holds its parent and its inode.
// Lock: one spin lock guards the hash table, names, parents and mounts; references are dropped
// outside it. Context: threads.
#pragma once

#include <span>
#include <string_view>

#include "fs/inode.hh"
#include "lib/list.hh"
#include "lib/ref.hh"
#include "lib/string.hh"

namespace kiln {

class dentry : public ref_counted<dentry> {
public:
    dentry(ref<dentry> parent, string name, ref<inode> target)
        : _parent(std::move(parent)), _name(std::move(name)), _target(std::move(target)) {}
    ~dentry();

    // Null for a negative entry. Fixed, but for a negative one that becomes positive.
    inode* target() const { return _target.get(); }
    bool negative() const { return _target.get() == nullptr; }
    ref<dentry> parent() const;
    result<string> name() const;
    // Whether the name is gone from its directory.
    bool removed() const { return _removed.load(std::memory_order_relaxed); }
    // Whether directories for mount points were made below it that the file system does not have.
    bool has_synthetic_children() const { return _synthetic_children != 0; }
    bool synthetic() const { return _synthetic; }
    bool is_mount_root() const { return _covered.get() != nullptr || _parent.get() == nullptr; }
    u64 mount_id() const { return _mount_id; }

private:
    friend class dentry_cache;

    ref<dentry> _parent;
    string _name;
    ref<inode> _target;
    ref<dentry> _mounted;  // the root of what is mounted here
    ref<dentry> _covered;  // for such a root: the dentry below it
    u64 _mount_id = 0;
    u32 _hash = 0;
    u32 _synthetic_children = 0;
    bool _synthetic = false;
    bool _hashed = false;
    bool _used = false;
    std::atomic<bool> _removed{false};
    list_node _hash_link;
    list_node _lru_link;
};

namespace dcache {

// The cached entry of a name; null when nothing is known.
ref<dentry> find(dentry& parent, std::string_view name);
// A new entry (negative without `target`). With `keep` it is entered into the cache; if another
// thread was first, the other's is returned.
result<ref<dentry>> enter(dentry& parent, std::string_view name, ref<inode> target,
                          bool keep = true);
result<ref<dentry>> make_root(ref<inode> target);
// A negative entry now has a file.
void make_positive(dentry& entry, ref<inode> target);
// The name is gone: the entry leaves the cache.
void remove(dentry& entry);
// The entry moves to another name; what was there must have been removed from the cache.
result<void> move(dentry& entry, dentry& new_parent, std::string_view new_name);
void exchange(dentry& left, dentry& right);
// Whether `ancestor` is `entry` or above it, across mounts.
bool is_ancestor(const dentry& ancestor, const dentry& entry);

// What is mounted on it, on top of all; itself when nothing is.
ref<dentry> top_of(ref<dentry> entry);
// One up, across a mount point; the same at the top of everything.
ref<dentry> up(const dentry& entry);
result<void> mount(dentry& on, dentry& root, u64 id);
void unmount(dentry& root);
bool is_mount_point(const dentry& entry);
void mark_synthetic(dentry& entry);
// Lists the synthetic children of a directory.
bool list_synthetic(dentry& directory, directory_sink& sink, u64 first_cookie, u64 after);

// The path from `root` to the entry; "(unreachable)" in front when it is not below. Returns the
// part of the buffer that holds it; err::range when it does not fit.
result<std::string_view> path_of(const dentry& entry, const dentry* root, std::span<char> buffer);

// The path under which an inode was last looked up, for messages: empty when the cache knows none or
// it does not fit.
std::string_view path_of_inode(const superblock& filesystem, u64 number, std::span<char> buffer);

// Frees entries that only the cache holds, at most `limit`. Returns how many.
usize shrink(usize limit);

}  // namespace dcache
}  // namespace kiln
