// The list of block devices, with Linux's numbers for their nodes (Documentation/admin-guide/devices.txt).
// Drivers add to it at boot, then the file systems add partitions; nobody removes. Lock: innermost.
#include "core/spinlock.hh"
#include "fs/block_device.hh"
#include "fs/stat.hh"

namespace kiln {
namespace {

constinit spinlock registry_lock;
constinit list<block_device, &block_device::link> registry;
constinit u32 others_registered = 0;

struct letter_disks {
    std::string_view prefix;
    u32 major;
};
constexpr letter_disks with_letters[] = {{"sd", 8}, {"vd", 254}, {"xvd", 202}};

// Disks of a letter have room for 15 partitions; the others share one major number.
u64 number_of(const block_device& device) {
    constexpr u32 others_major = 259, minors = 16;
    const std::string_view name = device.name();
    for (const letter_disks& kind : with_letters) {
        const usize letter = kind.prefix.size();
        if (!name.starts_with(kind.prefix) || name.size() <= letter) {
            continue;
        }
        u32 partition = 0;
        bool is_number = name[letter] >= 'a' && name[letter] <= 'z';
        for (const char digit : name.substr(letter + 1)) {
            is_number = is_number && digit >= '0' && digit <= '9' && partition < minors;
            partition = partition * 10 + static_cast<u32>(digit - '0');
        }
        if (is_number && partition < minors) {
            const u32 disk = static_cast<u32>(name[letter] - 'a');
            return make_device(kind.major, disk * minors + partition);
        }
    }
    return make_device(others_major, others_registered++);
}

}  // namespace

void register_block_device(block_device& device) {
    lock_guard guard(registry_lock);
    device.device_number = number_of(device);
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

block_device* block_device_by_number(u64 number) {
    block_device* at = first_block_device();
    while (at != nullptr && at->device_number != number) {
        at = next_block_device(*at);
    }
    return at;
}

result<void> flush_block_devices() {
    result<void> outcome;
    for (block_device* at = first_block_device(); at != nullptr; at = next_block_device(*at)) {
        if (at->unflushed.exchange(false, std::memory_order_acq_rel)) {
            result<void> flushed = at->flush();
            outcome = outcome.ok() ? flushed : outcome;
        }
    }
    return outcome;
}

}  // namespace kiln
