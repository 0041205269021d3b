// Calls that go on, after an interruption without a handler, with something other than their
// original arguments: a sleep with the time that is left. The call stores how, returns
// err::restart_block, and the program's next instruction is restart_syscall (219), which runs it.
// Where a handler runs in between, the call returns EINTR instead.
//
//   return restart_later(&resume_nanosleep, {deadline, remaining_address});
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

struct restart_block {
    using resume_function = result<i64> (*)(const restart_block& saved);

    resume_function resume = nullptr;  // null: EINTR
    u64 arguments[6] = {};
};

// Stores it with the current thread; returns err::restart_block, to be returned from the call.
err restart_later(restart_block::resume_function resume, const restart_block& arguments);
inline err restart_later(restart_block::resume_function resume, const u64 (&arguments)[6]) {
    restart_block block;
    for (usize i = 0; i < 6; ++i) {
        block.arguments[i] = arguments[i];
    }
    return restart_later(resume, block);
}

}  // namespace kiln
