// See file_clone.hh.
#include "linux/file_clone.hh"

#include "core/user.hh"
#include "fs/inode.hh"
#include "linux/path_arguments.hh"

namespace kiln {
namespace {

constexpr u32 clone_whole = 0x4004'9409, clone_range = 0x4020'940d;

// struct file_clone_range of linux/fs.h.
struct clone_arguments {
    i64 source;
    u64 offset, length, target_offset;
};

}  // namespace

bool is_clone_ioctl(u32 command) {
    return command == clone_whole || command == clone_range;
}

result<i64> clone_ioctl(file& to, u32 command, u64 argument) {
    i64 source = static_cast<i32>(argument);
    if (command == clone_range) {
        source = TRY(user_ptr<clone_arguments>(argument).read()).source;
    }
    ref<file> from = TRY(get_real_file(static_cast<i32>(source)));
    inode* const in = from->get_inode();
    inode* const out = to.get_inode();
    if (in == nullptr || out == nullptr || &in->filesystem != &out->filesystem) {
        return err::xdev;
    }
    if (in->is_directory() || out->is_directory()) {
        return err::isdir;
    }
    if (!in->is_regular() || !out->is_regular()) {
        return err::inval;
    }
    const bool appends = (to.flags() & open_flag::append) != 0;
    return from->readable() && to.writable() && !appends ? err::opnotsupp : err::badf;
}

}  // namespace kiln
