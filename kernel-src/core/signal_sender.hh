// How lower layers make the application's thread get a signal: linux/ provides it.
#pragma once

namespace kiln {

// SIGPIPE to the calling thread; a weak reference, since kernel threads and host tests have no signals.
[[gnu::weak]] void raise_sigpipe();

inline void send_pipe_signal() {
    if (raise_sigpipe != nullptr) {
        raise_sigpipe();
    }
}

}  // namespace kiln
