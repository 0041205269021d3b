// Disks and their partitions as files.
//
// Nothing is kept in memory: each read and write goes to the device, in pieces of up to 256 KiB, and
// is done when the device has it; fsync makes it empty its cache. Positions and lengths may be any,
// but for O_DIRECT. Such a file cannot be mapped.
//
// The device that carries the mounted root, the whole disk of which it is a partition included, can
// be read but not be opened for writing; the other partitions of that disk can.
#pragma once

#include "fs/block_device.hh"
#include "fs/inode_file.hh"

namespace kiln {

// From here on it is not written to.
void set_root_device(block_device& device);

class block_file final : public inode_file {
public:
    block_file(dentry& entry, u32 flags, block_device& device)
        : inode_file(entry, flags), _device(device) {}

    result<usize> read(io_vector& to, u64& position) override;
    result<usize> write(io_vector& from, u64& position) override;
    bool seekable() const override { return true; }
    result<u64> seek(i64 offset, int whence) override;
    result<void> sync(bool data_only) override;
    result<void> allocate(int mode, u64 offset, u64 length) override;
    result<i64> ioctl(u32 command, u64 argument) override;
    bool is_splice_source() const override { return true; }
    bool is_splice_target() const override { return true; }

private:
    result<void> check_direct(u64 position, usize size) const;
    result<i64> discard(u64 argument);
    result<usize> write_pieces(io_vector& from, u64& position, usize size);

    block_device& _device;
};

}  // namespace kiln
