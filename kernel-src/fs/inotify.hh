// inotify: what happens to watched files, as a stream of events.
//
// Each watched inode has a list of watches, made at the first one. Events are queued under the
// instance's lock; queues are bounded and end with IN_Q_OVERFLOW.
// Locks: the global inotify lock (a mutex: watches and lists) → an instance's queue lock.
#pragma once

#include <string_view>

#include "fs/inode.hh"

namespace kiln {

class inotify_list;

namespace inotify_event_bit {
inline constexpr u32 access = 0x1, modify = 0x2, attrib = 0x4, close_write = 0x8,
                     close_nowrite = 0x10, open = 0x20, moved_from = 0x40, moved_to = 0x80,
                     create = 0x100, removed = 0x200, delete_self = 0x400, move_self = 0x800,
                     all = 0xfff, unmount = 0x2000, overflow = 0x4000, ignored = 0x8000,
                     only_directory = 0x0100'0000, no_follow = 0x0200'0000,
                     mask_create = 0x1000'0000, mask_add = 0x2000'0000,
                     directory = 0x4000'0000, one_shot = 0x8000'0000;
}

// Something happened to `target` itself, or to `name` inside it. Cheap when nobody watches.
void notify_inode(inode& target, u32 events, std::string_view name = {}, u32 cookie = 0);
// To the inode and, by name, to the directory it is in.
void notify_entry(dentry& entry, u32 events);
u32 next_inotify_cookie();
void free_inotify_list(inotify_list* watches);

result<ref<file>> make_inotify(u32 flags);
result<int> inotify_add(file& instance, dentry& target, u32 mask);
result<void> inotify_remove(file& instance, int watch);

}  // namespace kiln
