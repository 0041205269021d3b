// How lower layers make the application's thread get a signal: linux/ provides it.
#pragma once

namespace kiln {

// SIGPIPE to the calling thread; a weak reference, since kernel threads and host tests have no signals.
[[gnu::weak]] void raise_sigpipe();

[[gnu::weak]] void raise_sigxfsz();  // the same for a write beyond RLIMIT_FSIZE

inline void send_file_size_signal() {
    if (raise_sigxfsz != nullptr) {
        raise_sigxfsz();
    }
}

inline void send_pipe_signal() {
    if (raise_sigpipe != nullptr) {
        raise_sigpipe();
    }
}

}  // namespace kiln
