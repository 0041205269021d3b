#include "fs/fs_context.hh"

#include <atomic>

#include "core/spinlock.hh"

namespace kiln {
namespace {

struct context {
    spinlock lock;
    ref<dentry> root;
    ref<dentry> working;
    std::atomic<u32> mask{022};
};

// Lives as long as the machine: never destroyed, so it needs no destructor to run.
union holder {
    constexpr holder() : value() {}
    ~holder() {}
    context value;
};
constinit holder the_context;

ref<dentry> read(const ref<dentry>& from) {
    lock_guard guard(the_context.value.lock);
    return from;
}

void replace(ref<dentry>& what, ref<dentry>& with) {
    lock_guard guard(the_context.value.lock);
    std::swap(what, with);
}

}  // namespace

ref<dentry> root_directory() {
    return read(the_context.value.root);
}

ref<dentry> working_directory() {
    return read(the_context.value.working);
}

void set_root_directory(ref<dentry> directory) {
    replace(the_context.value.root, directory);
}

void set_working_directory(ref<dentry> directory) {
    replace(the_context.value.working, directory);
}

u32 file_mode_mask() {
    return the_context.value.mask.load(std::memory_order_relaxed);
}

u32 set_file_mode_mask(u32 mask) {
    return the_context.value.mask.exchange(mask & 0777);
}

}  // namespace kiln
