// Descriptors, as system calls use them. See fs/fd_table.hh for the rest of the table's interface.
#pragma once

#include "fs/fd_table.hh"

namespace kiln {

// err::badf unless open. The reference keeps the file while the call runs.
inline result<ref<file>> get_file(int fd) { return descriptors::get(fd); }

inline result<int> install_descriptor(ref<file> what, bool cloexec, int lowest = 0) {
    return descriptors::install(std::move(what), cloexec, static_cast<u32>(lowest));
}

inline result<void> close_descriptor(int fd) { return descriptors::close(fd); }

}  // namespace kiln
