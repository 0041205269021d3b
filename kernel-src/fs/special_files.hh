// Devices by number, for nodes of any file system.
#pragma once

#include "fs/dentry.hh"
#include "fs/file.hh"

namespace kiln {

// By the device number of the entry's inode; err::nxio when there is no such device.
result<ref<file>> open_character_device(dentry& entry, u32 flags);

// The same for block devices (fs/block_file.cc). err::busy when a device that carries the root would
// be written to.
result<ref<file>> open_block_device(dentry& entry, u32 flags);

// The files for descriptors 0, 1 and 2, on the console's ports.
result<void> open_standard_streams();

}  // namespace kiln
