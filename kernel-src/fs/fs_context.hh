// The process's root and working directory and its umask. One process, so one of them.
// Context: threads.
#pragma once

#include "fs/dentry.hh"
#include "lib/ref.hh"

namespace kiln {

ref<dentry> root_directory();
ref<dentry> working_directory();
void set_root_directory(ref<dentry> directory);
void set_working_directory(ref<dentry> directory);
u32 file_mode_mask();
// Returns the mask before.
u32 set_file_mode_mask(u32 mask);

}  // namespace kiln
