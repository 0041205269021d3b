// FICLONE and FICLONERANGE of ioctl: a file whose blocks are another's. No file system here shares
// blocks between files, so what is asked is refused, in Linux's order (fs/remap_range.c there).
#pragma once

#include "fs/file.hh"
#include "lib/result.hh"

namespace kiln {

bool is_clone_ioctl(u32 command);
// err::fault, err::badf, err::xdev, err::isdir, err::inval; err::opnotsupp when all else is well.
result<i64> clone_ioctl(file& to, u32 command, u64 argument);

}  // namespace kiln
