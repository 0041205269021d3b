// The list of block devices. Drivers add to it at boot; nobody removes. Lock: innermost.
#include "core/spinlock.hh"
#include "fs/block_device.hh"

namespace kiln {
namespace {

constinit spinlock registry_lock;
constinit list<block_device, &block_device::link> registry;

}  // namespace

void register_block_device(block_device& device) {
    lock_guard guard(registry_lock);
    registry.push_back(device);
}

block_device* first_block_device() {
    lock_guard guard(registry_lock);
    return registry.front();
}

block_device* next_block_device(block_device& device) {
    lock_guard guard(registry_lock);
    return registry.next(device);
}

}  // namespace kiln
