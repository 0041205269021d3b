// kernel only: on which CPUs threads may run, and on which one the caller does.
#include "core/sched.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

u64 all_cpus() {
    const u32 count = cpu_count();
    return count >= 64 ? ~u64{0} : (u64{1} << count) - 1;
}

// The thread with this id (0: the caller).
result<ref<thread>> find_thread(i32 tid) {
    irq_guard guard(the_process().signal_lock);
    const task* found = tid == 0 ? current_task() : find_task(tid);
    if (found == nullptr || !found->owner) {
        return err::srch;
    }
    return found->owner;
}

}  // namespace

SYSCALL(sched_getaffinity, i32 tid, u32 size, u64 to) {
    if (size * 8 < cpu_count() || !is_aligned(size, sizeof(u64))) {
        return err::inval;
    }
    if (tid < 0) {
        return err::srch;
    }
    const u64 cpus = affinity_of(*TRY(find_thread(tid))) & all_cpus();
    TRY(copy_to_user(to, &cpus, sizeof(cpus)));
    return sizeof(cpus);
}

SYSCALL(sched_setaffinity, i32 tid, u32 size, u64 from) {
    u64 cpus = 0;
    TRY(copy_from_user(&cpus, from, size < sizeof(cpus) ? size : sizeof(cpus)));
    if (tid < 0) {
        return err::srch;
    }
    cpus &= all_cpus();
    const ref<thread> target = TRY(find_thread(tid));
    if (cpus == 0) {
        return err::inval;
    }
    TRY(set_affinity(*target, cpus));
    return 0;
}

SYSCALL(getcpu, user_ptr<u32> cpu, user_ptr<u32> node) {
    if (cpu) {
        TRY(cpu.write(this_cpu()));
    }
    if (node) {
        TRY(node.write(0));
    }
    return 0;
}

}  // namespace kiln
