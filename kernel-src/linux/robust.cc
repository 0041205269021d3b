// kernel only: user memory.
//
// Robust futex lists (set_robust_list(2), Documentation/locking/robust-futex-ABI): what the kernel does
// for the mutexes of a thread that ends. The list is the program's memory: anything may be in it, so
// it is followed for a bounded number of steps and left at the first fault.
#include "core/user.hh"
#include "linux/futex.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

struct user_robust_head {
    u64 next;
    i64 futex_offset;
    u64 pending;
};
inline constexpr int robust_list_limit = 2048;

// Robust mutexes are always waited for as shared ones.
void wake_next_owner(u64 address) {
    if (result<futex_key> key = futex_key_of(address, true); key.ok()) {
        static_cast<void>(the_futexes().wake(key.value(), 1));
    }
}

// `being_changed`: the thread was just locking or unlocking it.
result<void> release_one(task& self, u64 address, bool pi, bool being_changed) {
    if (!is_aligned(address, sizeof(u32))) {
        return err::inval;
    }
    for (;;) {
        const u32 found = TRY(user_load_u32(address));
        if (being_changed && !pi && found == 0) {
            // Unlocked, but whoever should have been woken was not yet.
            wake_next_owner(address);
            return {};
        }
        if ((found & futex_word::tid_mask) != static_cast<u32>(self.tid)) {
            return {};
        }
        if (pi) {
            abandon_pi_lock(address, self.tid);
            return {};
        }
        const u32 wanted = (found & futex_word::waiters) | futex_word::owner_died;
        if (TRY(user_compare_exchange_u32(address, found, wanted)) == found) {
            if ((found & futex_word::waiters) != 0) {
                wake_next_owner(address);
            }
            return {};
        }
    }
}

// List pointers carry "this is a PI futex" in bit 0.
u64 entry_of(u64 pointer) {
    return pointer & ~u64{1};
}
bool is_pi(u64 pointer) {
    return (pointer & 1) != 0;
}

result<void> walk_list(task& self, u64 head_address) {
    const auto head = TRY(user_ptr<user_robust_head>(head_address).read());
    const auto word_of = [&](u64 pointer) {
        return entry_of(pointer) + static_cast<u64>(head.futex_offset);
    };
    u64 pointer = head.next;
    for (int i = 0; i < robust_list_limit && entry_of(pointer) != head_address; ++i) {
        // The next pointer first: the mutex may be freed as soon as it is released.
        const result<u64> next = user_ptr<u64>(entry_of(pointer)).read();
        if (entry_of(pointer) != entry_of(head.pending)) {
            TRY(release_one(self, word_of(pointer), is_pi(pointer), false));
        }
        if (!next.ok()) {
            break;
        }
        pointer = next.value();
    }
    if (entry_of(head.pending) != 0) {
        TRY(release_one(self, word_of(head.pending), is_pi(head.pending), true));
    }
    return {};
}

}  // namespace

void release_robust_futexes(task& self) {
    if (self.robust_list != 0) {
        static_cast<void>(walk_list(self, self.robust_list));
        self.robust_list = 0;
    }
    abandon_all_pi_locks(self.tid);
}

void announce_thread_end(task& self) {
    if (self.clear_child_tid == 0) {
        return;
    }
    if (user_ptr<u32>(self.clear_child_tid).write(0).ok()) {
        if (result<futex_key> key = futex_key_of(self.clear_child_tid, true); key.ok()) {
            static_cast<void>(the_futexes().wake(key.value(), 1));
        }
    }
    self.clear_child_tid = 0;
}

SYSCALL(set_robust_list, u64 head, u64 size) {
    if (size != sizeof(user_robust_head)) {
        return err::inval;
    }
    current_task()->robust_list = head;
    return 0;
}

SYSCALL(get_robust_list, i32 tid, user_ptr<u64> head, user_ptr<u64> size) {
    u64 found = current_task()->robust_list;
    if (tid != 0) {
        irq_guard guard(the_process().signal_lock);
        const task* other = find_task(tid);
        if (other == nullptr) {
            return err::srch;
        }
        found = other->robust_list;
    }
    TRY(size.write(sizeof(user_robust_head)));
    TRY(head.write(found));
    return 0;
}

}  // namespace kiln
