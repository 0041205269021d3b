// What is mounted where. Mounts are made at boot (and by the mount system call) and rarely go.
// Lock: the mount lock (a mutex), outside all others. Context: threads.
#pragma once

#include <string_view>

#include "fs/dentry.hh"
#include "lib/vector.hh"

namespace kiln {

struct mount_point {
    u64 id = 0;
    u64 parent_id = 0;
    superblock* filesystem = nullptr;
    ref<dentry> root;
};

// Makes the file system the root of everything.
result<void> mount_as_root(superblock& filesystem);
// Mounts it on a directory. A missing directory is made; where the file system below is read-only
// it exists in memory only.
result<void> mount_at(std::string_view path, superblock& filesystem);
result<void> mount_on(dentry& directory, superblock& filesystem);
result<void> unmount(dentry& root);
// The number of mounts, and each in order of mounting; its references keep it usable.
usize mount_count();
mount_point mount_number(usize index);

}  // namespace kiln
