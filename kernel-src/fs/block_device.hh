// What a file system needs of a disk. drivers/ implements it; fs/ and the boot code use it.
#pragma once

#include <atomic>
#include <span>
#include <string_view>

#include "lib/list.hh"
#include "lib/result.hh"

namespace kiln {

class block_device : noncopyable {
public:
    virtual ~block_device() = default;

    virtual std::string_view name() const = 0;
    virtual u64 size_in_bytes() const = 0;
    // The smallest that the device itself reads and writes.
    virtual u32 logical_sector_size() const { return 512; }
    virtual bool read_only() const = 0;

    // Any byte offset and length inside the device; blocks until done, from several threads at
    // once. The buffer is in the direct map or kernel image. err::io when the device fails,
    // err::inval for a range beyond the end. Context: threads, no spin locks.
    virtual result<void> read(u64 offset, std::span<std::byte> into) = 0;
    // Consecutive bytes into several buffers, in order; a driver that can makes it one request.
    virtual result<void> read_scattered(u64 offset, std::span<const std::span<std::byte>> into) {
        for (const std::span<std::byte> piece : into) {
            TRY(read(offset, piece));
            offset += piece.size();
        }
        return {};
    }
    virtual result<void> write(u64 offset, std::span<const std::byte> from) = 0;
    virtual result<void> flush() = 0;
    // Whether the device can be told that nobody wants what whole sectors hold; what they hold then is
    // not known.
    virtual bool can_discard() const { return false; }
    virtual result<void> discard(u64 /*offset*/, u64 /*length*/) { return err::opnotsupp; }

    list_node link;
    u64 device_number = 0;          // of its node in /dev; set when it is registered
    block_device* whole = nullptr;  // the disk of a partition
    bool partitions_known = false;

    // For /proc/diskstats; counted by whoever reads and writes.
    void count_read(u64 bytes) {
        read_requests.fetch_add(1, std::memory_order_relaxed);
        read_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    void count_write(u64 bytes) {
        write_requests.fetch_add(1, std::memory_order_relaxed);
        write_bytes.fetch_add(bytes, std::memory_order_relaxed);
        unflushed.store(true, std::memory_order_release);
    }
    std::atomic<u64> read_requests{0}, write_requests{0};
    std::atomic<u64> read_bytes{0}, write_bytes{0};
    std::atomic<bool> unflushed{false};  // something was written since the last flush of all
};

// The registry, in the order of discovery, partitions after the disks. Registered at boot; devices
// never go.
void register_block_device(block_device& device);
block_device* first_block_device();
block_device* next_block_device(block_device& device);
block_device* block_device_by_number(u64 number);

// What was written reaches the medium, on all of them. The first error.
result<void> flush_block_devices();

}  // namespace kiln
