// kernel only: the program's registers and memory.
//
// rseq(2), layout of include/uapi/linux/rseq.h. Runs on the way back to the program, where its memory
// may be touched. The program's critical section descriptor is checked as Linux checks it, including
// the signature before the abort handler.
#include "linux/rseq.hh"

#include "core/user.hh"
#include "linux/entry.hh"
#include "linux/signal_state.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

struct user_rseq {
    u32 cpu_id_start;
    u32 cpu_id;
    u64 critical_section;
    u32 flags;
    u32 node_id;
    u32 mm_cid;
    u32 end;
};
static_assert(sizeof(user_rseq) == 32);
inline constexpr u32 cpu_id_uninitialised = ~u32{0};

struct user_critical_section {
    u32 version;
    u32 flags;
    u64 start;
    u64 length;
    u64 abort;
};

inline constexpr u32 minimal_length = 32;
inline constexpr i32 flag_unregister = 1;

u64 field(u64 area, usize offset) {
    return area + offset;
}

result<void> clear_section(u64 area) {
    const u64 none = 0;
    return copy_to_user(field(area, offsetof(user_rseq, critical_section)), &none, sizeof(none));
}

result<void> check_section(const user_critical_section& section, u32 signature) {
    if (section.start >= user_end || section.start + section.length >= user_end ||
        section.abort >= user_end || section.version > 0) {
        return err::inval;
    }
    // The abort handler must be outside of the section and be marked as one.
    if (section.abort - section.start < section.length) {
        return err::inval;
    }
    u32 found = 0;
    TRY(copy_from_user(&found, section.abort - sizeof(found), sizeof(found)));
    return found == signature ? result<void>() : err::inval;
}

result<void> leave_section(const rseq_registration& rseq, trap_frame& frame) {
    const u64 descriptor =
        TRY(user_ptr<u64>(field(rseq.address, offsetof(user_rseq, critical_section))).read());
    if (descriptor == 0) {
        return {};
    }
    const auto section = TRY(user_ptr<user_critical_section>(descriptor).read());
    TRY(check_section(section, rseq.signature));
    TRY(clear_section(rseq.address));
    if (frame.rip - section.start < section.length) {
        frame.rip = section.abort;
    }
    return {};
}

result<void> publish_cpu(rseq_registration& rseq) {
    // Moved away in between, the scheduler sees a CPU that differs from this and has it done again.
    rseq.cpu = this_cpu();
    const u32 cpus[2] = {rseq.cpu, rseq.cpu};
    TRY(copy_to_user(rseq.address, cpus, sizeof(cpus)));
    const u32 node_and_concurrency[2] = {0, cpus[0]};
    if (rseq.length >= sizeof(user_rseq)) {
        TRY(copy_to_user(field(rseq.address, offsetof(user_rseq, node_id)), node_and_concurrency,
                         sizeof(u32)));
    }
    return {};
}

result<void> update(rseq_registration& rseq, trap_frame& frame) {
    TRY(leave_section(rseq, frame));
    return publish_cpu(rseq);
}

result<void> unregister(rseq_registration& rseq, u64 address, u32 length, u32 signature) {
    if (rseq.address != address || rseq.address == 0) {
        return err::inval;
    }
    if (rseq.length != length) {
        return err::inval;
    }
    if (rseq.signature != signature) {
        return err::perm;
    }
    const user_rseq fresh{.cpu_id_start = 0, .cpu_id = cpu_id_uninitialised};
    TRY(copy_to_user(address, &fresh, offsetof(user_rseq, critical_section)));
    TRY(clear_section(address));
    rseq.address = 0;
    return {};
}

}  // namespace

void update_rseq(task& self, trap_frame& frame, bool signal) {
    rseq_registration& rseq = self.rseq;
    if (rseq.address == 0) {
        return;
    }
    const bool outdated = rseq.outdated.exchange(false, std::memory_order_relaxed);
    if (!outdated && !signal) {
        return;
    }
    if (!update(rseq, frame).ok()) {
        rseq.address = 0;
        force_segv(self, 0);
    }
}

void note_preemption(task& preempted) {
    if (preempted.rseq.address != 0) {
        preempted.rseq.outdated.store(true, std::memory_order_relaxed);
        request_return_work(*preempted.owner);
    }
}

void note_cpu(task& next, u32 cpu) {
    if (next.rseq.address != 0 && next.rseq.cpu != cpu) {
        note_preemption(next);
    }
}

SYSCALL(rseq, u64 address, u32 length, i32 flags, u32 signature) {
    rseq_registration& rseq = current_task()->rseq;
    if ((flags & flag_unregister) != 0) {
        if ((flags & ~flag_unregister) != 0) {
            return err::inval;
        }
        TRY(unregister(rseq, address, length, signature));
        return 0;
    }
    if (flags != 0) {
        return err::inval;
    }
    if (rseq.address != 0) {
        if (rseq.address != address || rseq.length != length) {
            return err::inval;
        }
        return rseq.signature != signature ? err::perm : err::busy;
    }
    if (length < minimal_length || !is_aligned(address, minimal_length)) {
        return err::inval;
    }
    if (address >= user_end - length) {
        return err::fault;
    }
    rseq.length = length;
    rseq.signature = signature;
    rseq.address = address;
    const result<void> published = publish_cpu(rseq);
    if (!published.ok()) {
        rseq.address = 0;
        return err::fault;
    }
    return 0;
}

}  // namespace kiln
