// What every disk driver does alike: makes a device that moves whole sectors look like bytes.
//
// A driver says what one transfer of its device may be (transfer_limits) and moves such transfers;
// this class cuts ranges into them. Ragged ends of a read go through a page that nobody reads where
// the device can scatter at will, else through a bounce page; ragged ends of a write are read,
// changed and written back, while nobody else writes.
//
// Context: threads, no spin locks. Lock: `_writing`, held over reads and writes of the device; shared
// by those who write whole sectors.
#pragma once

#include "core/mutex.hh"
#include "fs/block_device.hh"

namespace kiln {

// A buffer of a transfer, as the device sees it.
struct dma_piece {
    u64 address;
    u32 length;  // bytes
};

enum class transfer_kind : u8 { read, write };

struct transfer_limits {
    u32 sector_size = 512;             // bytes; a power of two, at most a page
    usize longest = 1 * MiB;           // bytes of a transfer; whole sectors
    usize most_pieces = 64;            // its buffers, those for ragged ends not counted
    u32 alignment = 1;                 // of each buffer's address and length, bytes
    bool joins_at_pages_only = false;  // one buffer ends and the next begins at a page's boundary
};

class sector_disk : public block_device {
public:
    u64 size_in_bytes() const final { return _sectors * _limits.sector_size; }
    u32 logical_sector_size() const final { return _limits.sector_size; }
    result<void> read(u64 offset, std::span<std::byte> into) final;
    result<void> read_scattered(u64 offset, std::span<const std::span<std::byte>> into) final;
    result<void> write(u64 offset, std::span<const std::byte> from) final;

protected:
    // The most buffers that `transfer` is given, with those for the ragged ends.
    static constexpr usize most_transfer_pieces = 64 + 2;

    // Before the first use. err::inval for limits that no transfer could keep to, or more bytes
    // than 64 bits count.
    result<void> set_geometry(u64 sectors, const transfer_limits& limits);
    // Moves whole sectors and waits for the device. The pieces' lengths add up to whole sectors.
    virtual result<void> transfer(transfer_kind kind, u64 sector,
                                  std::span<const dma_piece> pieces) = 0;

private:
    class cursor;

    result<void> check_range(u64 offset, usize size) const;
    bool fits(std::span<const std::byte> buffer) const;
    result<void> read_at(cursor& at);
    usize gather(const cursor& at, dma_piece* pieces, usize& count) const;
    result<usize> read_whole(const cursor& at);
    result<usize> read_through_bounce(const cursor& at);
    result<void> write_ragged(u64 offset, std::span<const std::byte> from);
    result<void> write_sectors(u64 offset, std::span<const std::byte> from);
    result<void> write_through_bounce(u64 offset, std::span<const std::byte> from);

    transfer_limits _limits;
    u64 _sectors = 0;
    std::byte* _bin = nullptr;  // a page for bytes that nobody wants
    rw_mutex _writing;
};

}  // namespace kiln
