// Futexes, as the rest of linux/ uses them.
#pragma once

#include "linux/futex_queue.hh"
#include "linux/task.hh"

namespace kiln {

// All waiting threads of the program.
futex_table& the_futexes();

// Where a user word is. `shared`: found through the mapping, so that two mappings of the same memory
// agree; else by address. err::inval when not aligned, err::fault beyond the program's half.
result<futex_key> futex_key_of(u64 address, bool shared);

// The end of a thread: its robust mutexes are marked and their waiters woken; PI locks that it still
// holds are handed on. Context: the thread itself, no locks.
void release_robust_futexes(task& self);
// The kernel's part of pthread_join: clears the tid word and wakes who waits on it.
void announce_thread_end(task& self);

// PI locks (futex_pi.cc). Deadlines are nanoseconds since boot.
result<i64> lock_pi(u64 address, bool shared, u64 deadline, bool try_only);
result<i64> unlock_pi(u64 address, bool shared);
// A PI lock whose owner dies: the word gets FUTEX_OWNER_DIED and the next waiter.
void abandon_pi_lock(u64 address, i32 dead_tid);
void abandon_all_pi_locks(i32 dead_tid);
// Whether somebody waits for the PI lock at this place, which is then no plain futex.
bool has_pi_waiters(const futex_key& key);
// The thread has another priority of its own: those for whose locks it waits inherit it.
void renew_pi_priority(i32 tid);

// The layout of a futex word that is a lock (include/uapi/linux/futex.h).
namespace futex_word {
inline constexpr u32 waiters = 0x8000'0000, owner_died = 0x4000'0000, tid_mask = 0x3fff'ffff;
}

}  // namespace kiln
