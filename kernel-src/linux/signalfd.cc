// kernel only: takes signals of the current thread.
//
// signalfd(2): signals read as records instead of being delivered. Which signals there are depends on
// who looks: the thread's own and the process's. Context: threads.
#include "lib/format.hh"
#include "linux/descriptors.hh"
#include "linux/signal_state.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

// struct signalfd_siginfo (include/uapi/linux/signalfd.h).
struct signalfd_record {
    u32 signo;
    i32 error, code;
    u32 pid, uid;
    i32 fd;
    u32 timer_id, band, overrun, trapno;
    i32 status, value_int;
    u64 value_pointer, user_time, system_time, address;
    u16 address_lsb;
    u8 rest[46];
};
static_assert(sizeof(signalfd_record) == 128);

inline constexpr u32 known_flags = open_flag::cloexec | open_flag::nonblock;

signalfd_record record_of(const signal_info& info) {
    signalfd_record record{};
    record.signo = static_cast<u32>(info.signo);
    record.error = info.error;
    record.code = info.code;
    if (info.code == si_code::timer) {
        record.timer_id = static_cast<u32>(info.timer.id);
        record.overrun = static_cast<u32>(info.timer.overrun);
        record.value_pointer = info.timer.value;
        record.value_int = static_cast<i32>(info.timer.value);
    } else if ((signal_bit(info.signo) & synchronous_signals) != 0 && info.code > 0) {
        record.address = info.fault.address;
    } else {
        record.pid = static_cast<u32>(info.sender.pid);
        record.uid = info.sender.uid;
        record.value_pointer = info.sender.value;
        record.value_int = static_cast<i32>(info.sender.value);
    }
    return record;
}

}  // namespace

class signalfd_file final : public file {
public:
    signalfd_file(signal_set wanted, u32 flags) : file(flags), _wanted(wanted) {}

    result<usize> read(io_vector& to, u64&) override {
        if (to.remaining() < sizeof(signalfd_record)) {
            return err::inval;
        }
        usize done = 0;
        while (to.remaining() >= sizeof(signalfd_record)) {
            signal_info info;
            if (!take_signal(*current_task(), _wanted, info)) {
                if (done != 0) {
                    break;
                }
                TRY(await(info));
            }
            const signalfd_record record = record_of(info);
            done += TRY(to.put(&record, sizeof(record)));
        }
        return done;
    }

    u32 poll_events() override {
        const task* reader = current_task();
        irq_guard guard(the_process().signal_lock);
        signal_set pending = the_process().pending.set();
        if (reader != nullptr) {
            pending |= reader->pending.set();
        }
        return (pending & _wanted) != 0 ? poll_event::in | poll_event::rdnorm : 0;
    }
    wait_queue* poll_queue() override { return &signal_arrivals(); }
    signalfd_file* as_signalfd() override { return this; }
    result<u64> seek(i64, int) override { return u64{0}; }

    result<usize> describe(std::span<char> to) override {
        return format_to(to, "anon_inode:[signalfd]");
    }

    void change(signal_set wanted) {
        __atomic_store_n(&_wanted, wanted, __ATOMIC_RELAXED);
        signal_arrivals().wake_all();
    }

private:
    result<void> await(signal_info& info) {
        if (nonblocking()) {
            return err::again;
        }
        const result<void> outcome = wait_until(
            signal_arrivals(), [&] { return take_signal(*current_task(), _wanted, info); });
        if (!outcome.ok() && outcome.error() == err::intr) {
            return err::restart_sys;
        }
        return outcome.ok() ? result<void>() : outcome.error();
    }

    signal_set _wanted;
};

namespace {

result<i64> open_signalfd(int fd, u64 mask_address, u64 size, u32 flags) {
    if ((flags & ~known_flags) != 0 || size != sizeof(signal_set)) {
        return err::inval;
    }
    const signal_set given = TRY(user_ptr<signal_set>(mask_address).read());
    const signal_set wanted = given & ~unblockable_signals;
    if (fd == -1) {
        const u32 mode = open_flag::rdwr | (flags & open_flag::nonblock);
        ref<file> made = TRY(make_ref<signalfd_file>(wanted, mode));
        return TRY(install_descriptor(std::move(made), (flags & open_flag::cloexec) != 0));
    }
    ref<file> existing = TRY(get_file(fd));
    if (existing->as_signalfd() == nullptr) {
        return err::inval;
    }
    existing->as_signalfd()->change(wanted);
    return fd;
}

}  // namespace

SYSCALL(signalfd, int fd, u64 mask_address, u64 size) {
    return open_signalfd(fd, mask_address, size, 0);
}

SYSCALL(signalfd4, int fd, u64 mask_address, u64 size, u32 flags) {
    return open_signalfd(fd, mask_address, size, flags);
}

}  // namespace kiln
