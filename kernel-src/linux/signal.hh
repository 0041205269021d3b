// Signals, as the other subsystems see them: sending them, and waiting with another mask.
// Delivery is in signal_delivery.cc, the system calls in signal_calls.cc.
//
// Lock: the process's signal_lock (an irq_spinlock) guards pending queues, masks and actions; it is
// taken inside here and nests outside wait-queue and run-queue locks only.
#pragma once

#include "lib/result.hh"
#include "linux/signal_info.hh"

namespace kiln {

struct task;
class wait_queue;

// To the process: any thread that does not block it takes it. Context: any.
void send_process_signal(int signo);
// With siginfo, for which it allocates. Context: thread, no spin lock.
void send_process_signal(const signal_info& info);
// To one thread. The caller makes sure that it lives. Context: thread, no spin lock.
void send_thread_signal(task& target, const signal_info& info);

// SIGPIPE to the current thread, for a write to a stream without a reader; the write returns EPIPE.
void raise_sigpipe();
// SIGXFSZ, for a write beyond RLIMIT_FSIZE; the write returns EFBIG.
void raise_sigxfsz();

// Ends the process as SIGKILL would (out of memory, a request of the host). Context: any.
void kill_process(int signo);

// A mask that replaces the thread's own while a call waits (ppoll, pselect6, epoll_pwait):
//
//   temporary_signal_mask mask;
//   TRY(mask.set_from_user(address, size));       // a null address changes nothing
//   result<i64> outcome = wait...;
//   return mask.finish(outcome);
//
// Where the outcome says that a signal interrupted the wait, the signal is taken under the temporary
// mask and the old one returns with the handler's end; otherwise it returns at once.
class temporary_signal_mask {
public:
    temporary_signal_mask() = default;
    temporary_signal_mask(const temporary_signal_mask&) = delete;
    temporary_signal_mask& operator=(const temporary_signal_mask&) = delete;
    ~temporary_signal_mask();

    // err::inval unless `size` is 8, err::fault.
    result<void> set_from_user(u64 address, u64 size);
    void set(signal_set mask);
    result<i64> finish(result<i64> outcome);

private:
    signal_set _saved = 0;
    bool _set = false;
};

// Woken when a signal was queued, for signalfd.
wait_queue& signal_arrivals();

}  // namespace kiln
