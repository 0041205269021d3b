// Advisory locks on files: POSIX record locks (the process's), OFD locks and flock (an open
// file's).
//
// There is one process, so POSIX locks never conflict with each other; they only conflict with OFD
// locks and are remembered for F_GETLK's sake. Each inode has a list, made at the first lock.
// Lock: one per list, a spin lock. Context: threads.
#pragma once

#include "fs/inode.hh"

namespace kiln {

class lock_list;

struct lock_request {
    bool exclusive = false;
    u64 start = 0;
    u64 end = 0;                  // the last byte; ~0: to the end of the file
    const void* owner = nullptr;  // the file for OFD locks and flock, null for the process
    bool flock = false;           // flock() locks live apart from the others
};

// Takes the lock, waiting if `wait`; err::again otherwise. Own locks in the range are replaced.
result<void> set_file_lock(inode& target, const lock_request& request, bool wait);
result<void> clear_file_lock(inode& target, const lock_request& request);
// The first lock that is in the way; `request` is overwritten with it. False when none is.
bool find_file_lock(inode& target, lock_request& request);
// All locks of an owner, when its file is closed.
void drop_file_locks(inode& target, const void* owner);
void drop_process_locks(inode& target);
void free_lock_list(lock_list* locks);

}  // namespace kiln
