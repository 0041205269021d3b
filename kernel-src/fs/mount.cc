#include "fs/mount.hh"

#include "fs/inode_file.hh"
#include "fs/vfs.hh"

namespace kiln {
namespace {

constexpr usize max_mounts = 64;
constexpr u64 first_mount_id = 20;

union holder {
    constexpr holder() : points() {}
    ~holder() {}
    mount_point points[max_mounts];
};

constinit mutex mount_lock;
constinit holder table;
constinit usize count = 0;
constinit u64 next_id = first_mount_id;

// A directory that the file system below does not have: an empty place to mount on.
class synthetic_directory final : public inode {
public:
    synthetic_directory(inode& parent)
        : inode(parent.filesystem, parent.number ^ (reinterpret_cast<u64>(this) >> 4 | 1u << 31),
                mode_bit::directory | 0755) {
        links = 2;
        accessed = modified = changed = parent.modified;
    }
    result<ref<inode>> lookup(std::string_view) override { return err::noent; }
    result<void> read_directory(u64, directory_sink&) override { return {}; }
    result<ref<inode>> create(std::string_view, u32, u64) override { return err::rofs; }
    result<ref<file>> open(dentry& entry, u32 flags) override {
        return TRY(make_ref<directory_file>(entry, flags));
    }
};

result<ref<dentry>> make_missing(dentry& parent, std::string_view name) {
    inode& in = *parent.target();
    lock_guard guard(in.lock);
    ref<dentry> entry = TRY(lookup_child_locked(parent, name));
    if (!entry->negative()) {
        return entry;
    }
    result<ref<inode>> made = in.create(name, mode_bit::directory | 0755, 0);
    const bool synthetic = !made.ok() && (made.error() == err::rofs || made.error() == err::perm);
    if (synthetic) {
        made = TRY(make_ref<synthetic_directory>(in));
    } else if (!made.ok()) {
        return made.error();
    }
    dcache::make_positive(*entry, made.take());
    if (synthetic) {
        dcache::mark_synthetic(*entry);
    }
    return entry;
}

// Like mkdir -p, on synthetic directories where needed. Follows symbolic links on the way.
result<ref<dentry>> make_path(std::string_view path) {
    ref<dentry> at = root_directory();
    while (true) {
        path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
        if (path.empty()) {
            return at;
        }
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(name.size());
        result<ref<dentry>> found = resolve(*at, name);
        if (!found.ok() && found.error() == err::noent) {
            found = make_missing(*dcache::top_of(at), name);
        }
        at = dcache::top_of(TRY(std::move(found)));
        if (!at->target()->is_directory()) {
            return err::notdir;
        }
    }
}

result<mount_point*> add_point(superblock& filesystem) {
    if (count == max_mounts) {
        return err::nospc;
    }
    mount_point& made = table.points[count];
    ref<inode> root = TRY(filesystem.root());
    made.root = TRY(dcache::make_root(std::move(root)));
    made.id = next_id++;
    made.filesystem = &filesystem;
    return &made;
}

u64 id_of_mount(const superblock& filesystem) {
    for (usize i = 0; i < count; ++i) {
        if (table.points[i].filesystem == &filesystem) {
            return table.points[i].id;
        }
    }
    return 0;
}

}  // namespace

result<void> mount_as_root(superblock& filesystem) {
    lock_guard guard(mount_lock);
    // A root in place of another, with all that was mounted on it: tests start afresh so.
    while (count != 0) {
        table.points[--count] = mount_point();
    }
    mount_point* const made = TRY(add_point(filesystem));
    made->parent_id = 1;
    ++count;
    set_root_directory(made->root);
    set_working_directory(made->root);
    return {};
}

result<void> mount_on(dentry& directory, superblock& filesystem) {
    if (!directory.target()->is_directory()) {
        return err::notdir;
    }
    lock_guard guard(mount_lock);
    mount_point* const made = TRY(add_point(filesystem));
    made->parent_id = id_of_mount(directory.target()->filesystem);
    TRY(dcache::mount(directory, *made->root, made->id));
    ++count;
    return {};
}

result<void> mount_at(std::string_view path, superblock& filesystem) {
    ref<dentry> directory = TRY(make_path(path));
    return mount_on(*directory, filesystem);
}

result<void> unmount(dentry& root) {
    mount_point taken;
    lock_guard guard(mount_lock);
    for (usize i = 1; i < count; ++i) {
        if (table.points[i].root == &root) {
            dcache::unmount(root);
            taken = std::move(table.points[i]);
            for (usize next = i; next + 1 < count; ++next) {
                table.points[next] = std::move(table.points[next + 1]);
            }
            --count;
            return {};
        }
    }
    return err::inval;
}

usize mount_count() {
    lock_guard guard(mount_lock);
    return count;
}

mount_point mount_number(usize index) {
    lock_guard guard(mount_lock);
    return index < count ? table.points[index] : mount_point();
}

}  // namespace kiln
