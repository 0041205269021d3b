// Descriptors that stand for a process: for the one there is. Such a descriptor is never ready, since
// the process lives as long as anybody could look.
#include "lib/format.hh"
#include "linux/descriptors.hh"
#include "linux/process.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

class pidfd_file final : public file {
public:
    using file::file;

    bool is_pidfd() const override { return true; }
    u32 poll_events() override { return 0; }
    wait_queue* poll_queue() override { return &_never; }
    result<usize> describe(std::span<char> to) override {
        return format_to(to, "anon_inode:[pidfd]");
    }

private:
    wait_queue _never;
};

}  // namespace

SYSCALL(pidfd_open, i32 pid, u32 flags) {
    if ((flags & ~open_flag::nonblock) != 0 || pid <= 0) {
        return err::inval;
    }
    if (pid != process_id) {
        return err::srch;
    }
    ref<file> made = TRY(make_ref<pidfd_file>(open_flag::rdwr | flags));
    return TRY(install_descriptor(std::move(made), true));
}

SYSCALL(pidfd_getfd, i32 process, i32 fd, u32 flags) {
    if (flags != 0) {
        return err::inval;
    }
    if (!TRY(get_file(process))->is_pidfd()) {
        return err::badf;
    }
    ref<file> shared = TRY(get_file(fd));
    return TRY(install_descriptor(std::move(shared), true));
}

}  // namespace kiln
