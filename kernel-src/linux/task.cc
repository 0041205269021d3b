// kernel only: needs the scheduler's thread.
#include "linux/task.hh"

#include "core/sched.hh"
#include "linux/signal_state.hh"

namespace kiln {

task::task(i32 id) : tid(id) {}

// What is still queued for the thread goes with it. Nobody else can reach the task any more.
task::~task() {
    pending_signals::entry_list freed;
    pending.discard(~signal_set{0}, freed);
    free_signals(freed);
}

err restart_later(restart_block::resume_function resume, const restart_block& arguments) {
    restart_block& stored = current_task()->restart;
    stored = arguments;
    stored.resume = resume;
    return err::restart_block;
}

}  // namespace kiln
