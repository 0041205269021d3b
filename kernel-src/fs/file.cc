// What a file does that its kind does not do itself: refuse with Linux's errno.
#include "fs/file.hh"

#include "fs/epoll.hh"
#include "fs/stat.hh"
#include "lib/format.hh"
#include "mm/vm_object.hh"

namespace kiln {
namespace {

// Linux shows eventfd, epoll and their like as one inode of an unmounted file system.
constexpr u64 anonymous_device = make_device(0, 15);

}  // namespace

void file::last_reference() {
    // Before the destructors: epoll may still ask the file for its events until it is detached, and
    // what sends signals hangs on its queue.
    if (_watched.load(std::memory_order_acquire)) {
        detach_from_epolls(*this);
    }
    delete _signals.load(std::memory_order_acquire);
    delete this;
}

result<usize> file::read(io_vector&, u64&) {
    return err::inval;
}

result<usize> file::write(io_vector&, u64&) {
    return err::inval;
}

result<u64> file::seek(i64, int) {
    return err::spipe;
}

result<i64> file::ioctl(u32, u64) {
    return err::notty;
}

result<void> file::status(file_status& to) {
    to = {};
    to.device = anonymous_device;
    to.inode_number = 1;
    to.mode = 0600;
    return {};
}

result<void> file::truncate(u64) {
    return err::inval;
}

result<void> file::allocate(int, u64, u64) {
    return err::nodev;
}

result<void> file::sync(bool) {
    return err::inval;
}

result<void> file::read_directory(directory_sink&) {
    return err::notdir;
}

result<ref<vm_object>> file::mapping(bool) {
    return err::nodev;
}

result<usize> file::describe(std::span<char> to) {
    return format_to(to, "anon_inode:[unknown]");
}

}  // namespace kiln
