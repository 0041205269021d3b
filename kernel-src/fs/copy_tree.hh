// Copies a tree of files. Hard links become separate files. Context: threads, before others see
// `to`.
#pragma once

#include "fs/inode.hh"

namespace kiln {

result<void> copy_tree(inode& from, inode& to);

}  // namespace kiln
