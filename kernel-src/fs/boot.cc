// What boot mounts: the root, the kernel's own file systems, scratch space.
#include "core/reclaim.hh"
#include "fs/block_device.hh"
#include "fs/block_file.hh"
#include "fs/copy_tree.hh"
#include "fs/device_files.hh"
#include "fs/erofs.hh"
#include "fs/inode_file.hh"
#include "fs/mount.hh"
#include "fs/pipe.hh"
#include "fs/pseudo_fs.hh"
#include "fs/tmpfs.hh"
#include "fs/vfs.hh"

namespace kiln {
namespace {

// A name that only the cache holds, with its inode, is roughly an eighth of a page.
u64 shrink_names(u64 wanted) {
    constexpr u64 names_a_page = 8;
    return dcache::shrink(wanted * names_a_page) / names_a_page;
}

constinit page_shrinker names{shrink_names};

}  // namespace

result<void> mount_root(block_device* device) {
    if (device == nullptr) {
        tmpfs* const empty = TRY(tmpfs::make(0, 0, 0755));
        return mount_as_root(*empty);
    }
    erofs* const image = TRY(erofs::mount(*device));
    set_root_device(*device);
    return mount_as_root(*image);
}

result<void> mount_tmpfs(std::string_view path, const tmpfs_options& options) {
    tmpfs* const made = TRY(tmpfs::make(options.size, 0, options.mode));
    if (options.copy) {
        ref<dentry> start = root_directory();
        result<ref<dentry>> source = resolve(*start, path);
        if (source.ok()) {
            ref<inode> target = TRY(made->root());
            TRY(copy_tree(*source.value()->target(), *target));
        } else if (source.error() != err::noent) {
            return source.error();
        }
    }
    return mount_at(path, *made);
}

result<void> mount_standard_filesystems() {
    superblock* const devices = TRY(make_device_filesystem());
    TRY(mount_at("/dev", *devices));
    TRY(mount_tmpfs("/dev/shm", {}));
    TRY(mount_at("/proc", the_proc()));
    TRY(mount_at("/sys", the_sys()));
    register_shrinker(names);
    return fill_views != nullptr ? fill_views() : result<void>();
}

}  // namespace kiln
