// The process's descriptor table: the lowest free number by a bitmap, close-on-exec flags, the
// limit.
//
// Lock: one spin lock; references to files are dropped outside it. Context: threads.
#pragma once

#include "fs/file.hh"
#include "lib/ref.hh"
#include "lib/result.hh"

namespace kiln::descriptors {

inline constexpr u32 hard_maximum = 1u << 20;

result<ref<file>> get(int fd);
result<int> install(ref<file> what, bool cloexec, u32 lowest = 0);
// Two at once (pipe, socketpair): both or none.
result<void> install_pair(ref<file> first, ref<file> second, bool cloexec, int (&fds)[2]);
// dup2: whatever `fd` was is closed.
result<void> install_at(int fd, ref<file> what, bool cloexec);
result<void> close(int fd);
// Closes [first, last]; with `mark_only` sets close-on-exec instead.
void close_range(u32 first, u32 last, bool mark_only);
// At the program's end.
void close_all();

result<bool> close_on_exec(int fd);
result<void> set_close_on_exec(int fd, bool value);

// RLIMIT_NOFILE.
u32 limit();
void set_limit(u32 limit);
u32 open_count();
// The first open descriptor that is at least `from`; -1 when there is none.
int next_open(u32 from);
// Slots allocated, for /proc/self/status.
u32 slot_count();

}  // namespace kiln::descriptors
