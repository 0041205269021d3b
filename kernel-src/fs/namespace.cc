// Changing the tree of names: make, link, remove, rename.
//
// Locks: the rename lock (renames of directories must not race, or a directory could end inside
// itself) → the directories' inode locks, an ancestor before what is below it, else by address.
#include <algorithm>

#include "fs/inotify.hh"
#include "fs/vfs.hh"
#include "mm/page_cache.hh"

namespace kiln {
namespace {

constinit mutex rename_lock;

namespace happened = inotify_event_bit;

struct place {
    ref<dentry> directory;
    string name;
    bool trailing_slash = false;
};

// Where a name is to be made. `special` is the error for paths that end in ".", ".." or are "/".
result<place> find_place(dentry& start, std::string_view path, err special) {
    walk_result at = TRY(walk(start, path, {.want_parent = true}));
    if (at.open) {
        return err::notdir;
    }
    if (at.last_is_special) {
        return special;
    }
    return place{std::move(at.entry), std::move(at.last), at.trailing_slash};
}

// The free name, with the directory locked.
result<ref<dentry>> free_name(const place& where) {
    ref<dentry> entry = TRY(lookup_child_locked(*where.directory, where.name));
    if (!entry->negative()) {
        return err::exist;
    }
    if (where.directory->target()->filesystem.read_only()) {
        return err::rofs;
    }
    return entry;
}

void made(const place& where, dentry& negative, ref<inode> target) {
    inode& directory = *where.directory->target();
    const u32 kind = target->is_directory() ? happened::directory : 0;
    touch_modified(directory);
    if (directory.caches_lookups()) {
        dcache::make_positive(negative, std::move(target));
    }
    notify_inode(directory, happened::create | kind, where.name);
}

result<void> make_node(const place& where, u32 mode, u64 special_device) {
    inode& directory = *where.directory->target();
    lock_guard guard(directory.lock);
    ref<dentry> entry = TRY(free_name(where));
    ref<inode> target = TRY(directory.create(where.name, mode, special_device));
    made(where, *entry, std::move(target));
    return {};
}

// The existing entry to be removed, with the directory locked.
result<ref<dentry>> used_name(const place& where) {
    ref<dentry> entry = TRY(lookup_child_locked(*where.directory, where.name));
    if (entry->negative()) {
        return err::noent;
    }
    if (dcache::is_mount_point(*entry)) {
        return err::busy;
    }
    return entry;
}

void removed(const place& where, dentry& entry) {
    inode& directory = *where.directory->target();
    touch_modified(directory);
    dcache::remove(entry);
    const u32 kind = entry.target()->is_directory() ? happened::directory : 0;
    notify_inode(directory, happened::removed | kind, where.name);
    notify_inode(*entry.target(),
                 entry.target()->links == 0 ? happened::delete_self : happened::attrib);
}

// Both directories of a rename, locked.
class locked_pair : noncopyable {
public:
    locked_pair(dentry& left, dentry& right) : _first(left.target()), _second(right.target()) {
        if (_first == _second) {
            _second = nullptr;
        } else if (dcache::is_ancestor(right, left) ||
                   (!dcache::is_ancestor(left, right) && _second < _first)) {
            std::swap(_first, _second);
        }
        _first->lock.lock();
        if (_second != nullptr) {
            _second->lock.lock();
        }
    }
    ~locked_pair() {
        if (_second != nullptr) {
            _second->lock.unlock();
        }
        _first->lock.unlock();
    }

private:
    inode* _first;
    inode* _second;
};

// Whether `moved` may take the place of `target` (null: the place is free).
result<void> check_replacement(const dentry& moved, const dentry& target) {
    if (target.negative()) {
        return {};
    }
    const bool moved_directory = moved.target()->is_directory();
    const bool target_directory = target.target()->is_directory();
    if (moved_directory && !target_directory) {
        return err::notdir;
    }
    if (!moved_directory && target_directory) {
        return err::isdir;
    }
    return dcache::is_mount_point(target) ? result<void>(err::busy) : result<void>();
}

result<void> check_rename(const place& from, const place& to, dentry& moved, dentry& target,
                          u32 flags) {
    const bool exchange = (flags & static_cast<u32>(rename_flag::exchange)) != 0;
    if (moved.negative() || (exchange && target.negative())) {
        return err::noent;
    }
    if ((flags & static_cast<u32>(rename_flag::no_replace)) != 0 && !target.negative()) {
        return err::exist;
    }
    if (from.directory->target()->filesystem.read_only()) {
        return err::rofs;
    }
    if ((from.trailing_slash || (to.trailing_slash && !exchange)) &&
        !moved.target()->is_directory()) {
        return err::notdir;
    }
    if (dcache::is_ancestor(moved, *to.directory)) {
        return err::inval;
    }
    if (!target.negative() && dcache::is_ancestor(target, *from.directory)) {
        return exchange ? err::inval : err::notempty;
    }
    if (dcache::is_mount_point(moved)) {
        return err::busy;
    }
    return exchange ? result<void>() : check_replacement(moved, target);
}

void tell_renamed(const place& from, const place& to, dentry& moved, inode* replaced) {
    const u32 kind = moved.target()->is_directory() ? happened::directory : 0;
    const u32 cookie = next_inotify_cookie();
    notify_inode(*from.directory->target(), happened::moved_from | kind, from.name, cookie);
    notify_inode(*to.directory->target(), happened::moved_to | kind, to.name, cookie);
    notify_inode(*moved.target(), happened::move_self);
    if (replaced != nullptr && replaced->links == 0) {
        notify_inode(*replaced, happened::delete_self);
    }
}

result<void> rename_locked(const place& from, const place& to, u32 flags) {
    ref<dentry> moved = TRY(lookup_child_locked(*from.directory, from.name));
    ref<dentry> target = TRY(lookup_child_locked(*to.directory, to.name));
    TRY(check_rename(from, to, *moved, *target, flags));
    if (moved->target() == target->target()) {
        return {};  // two names of one file: nothing happens
    }
    const bool exchange = (flags & static_cast<u32>(rename_flag::exchange)) != 0;
    inode& old_directory = *from.directory->target();
    inode& new_directory = *to.directory->target();
    ref<inode> replaced(target->target());
    TRY(old_directory.rename(from.name, *moved->target(), new_directory, to.name, replaced.get(),
                             exchange));
    touch_modified(old_directory);
    touch_modified(new_directory);
    moved->target()->changed = timestamp_now();
    if (exchange) {
        dcache::exchange(*moved, *target);
    } else {
        dcache::remove(*target);
        TRY(dcache::move(*moved, *to.directory, to.name));
    }
    tell_renamed(from, to, *moved, exchange ? nullptr : replaced.get());
    return {};
}

}  // namespace

result<void> make_node_at(dentry& start, std::string_view path, u32 mode, u64 special_device) {
    place where = TRY(find_place(start, path, err::exist));
    if (where.trailing_slash) {
        return err::noent;
    }
    return make_node(where, mode & ~file_mode_mask(), special_device);
}

result<void> make_directory_at(dentry& start, std::string_view path, u32 mode) {
    place where = TRY(find_place(start, path, err::exist));
    const u32 bits = mode & 01777 & ~file_mode_mask();
    return make_node(where, mode_bit::directory | bits, 0);
}

result<void> make_symlink_at(dentry& start, std::string_view path, std::string_view target) {
    if (target.empty()) {
        return err::noent;
    }
    place where = TRY(find_place(start, path, err::exist));
    if (where.trailing_slash) {
        return err::noent;
    }
    inode& directory = *where.directory->target();
    lock_guard guard(directory.lock);
    ref<dentry> entry = TRY(free_name(where));
    made(where, *entry, TRY(directory.create_symlink(where.name, target)));
    return {};
}

result<void> link_at(dentry& existing, dentry& start, std::string_view path) {
    place where = TRY(find_place(start, path, err::exist));
    inode& directory = *where.directory->target();
    inode& target = *existing.target();
    lock_guard guard(directory.lock);
    ref<dentry> entry = TRY(free_name(where));
    if (&directory.filesystem != &target.filesystem) {
        return err::xdev;
    }
    if (target.is_directory()) {
        return err::perm;
    }
    if (where.trailing_slash) {
        return err::noent;
    }
    if (target.links == 0 && !target.linkable) {
        return err::noent;
    }
    TRY(directory.link(where.name, target));
    target.changed = timestamp_now();
    made(where, *entry, ref<inode>(&target));
    return {};
}

result<void> unlink_at(dentry& start, std::string_view path) {
    place where = TRY(find_place(start, path, err::isdir));
    inode& directory = *where.directory->target();
    lock_guard guard(directory.lock);
    ref<dentry> entry = TRY(used_name(where));
    if (entry->target()->is_directory()) {
        return err::isdir;
    }
    if (where.trailing_slash) {
        return err::notdir;
    }
    TRY(directory.unlink(where.name, *entry->target()));
    entry->target()->changed = timestamp_now();
    removed(where, *entry);
    return {};
}

result<void> remove_directory_at(dentry& start, std::string_view path) {
    walk_result at = TRY(walk(start, path, {.want_parent = true}));
    if (at.last_is_special) {
        return at.last.view() == "."    ? err::inval
               : at.last.view() == ".." ? err::notempty
                                        : err::busy;
    }
    place where{std::move(at.entry), std::move(at.last), at.trailing_slash};
    inode& directory = *where.directory->target();
    lock_guard guard(directory.lock);
    ref<dentry> entry = TRY(used_name(where));
    if (!entry->target()->is_directory()) {
        return err::notdir;
    }
    ref<inode> target(entry->target());
    lock_guard inner(target->lock);
    TRY(directory.remove_directory(where.name, *target));
    removed(where, *entry);
    return {};
}

result<void> rename_at(dentry& from_start, std::string_view from_path, dentry& to_start,
                       std::string_view to_path, u32 flags) {
    constexpr u32 both =
        static_cast<u32>(rename_flag::no_replace) | static_cast<u32>(rename_flag::exchange);
    if ((flags & ~both) != 0 || (flags & both) == both) {
        return err::inval;
    }
    place from = TRY(find_place(from_start, from_path, err::busy));
    place to = TRY(find_place(to_start, to_path, err::busy));
    if (&from.directory->target()->filesystem != &to.directory->target()->filesystem) {
        return err::xdev;
    }
    lock_guard guard(rename_lock);
    locked_pair directories(*from.directory, *to.directory);
    return rename_locked(from, to, flags);
}

result<void> change_attributes(inode& target, const attribute_change& what) {
    {
        lock_guard guard(target.lock);
        TRY(target.change(what));
    }
    notify_inode(target, happened::attrib);
    return {};
}

result<void> truncate_inode(inode& target, u64 size) {
    if (target.is_directory()) {
        return err::isdir;
    }
    if (!target.is_regular()) {
        return err::inval;
    }
    lock_guard guard(target.lock);
    TRY(target.resize(size));
    touch_modified(target);
    return {};
}

result<void> check_access(inode& target, u32 wanted) {
    constexpr u32 write = 2, execute = 1;
    if ((wanted & write) != 0 && target.filesystem.read_only() &&
        (target.is_regular() || target.is_directory() || target.is_symlink())) {
        return err::rofs;
    }
    if ((wanted & execute) != 0 && !target.is_directory() && (target.mode & 0111) == 0) {
        return err::acces;
    }
    return {};
}

}  // namespace kiln
