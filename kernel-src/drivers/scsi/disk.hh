// A SCSI disk behind any adapter: what it says of itself, and commands that are given again where the
// answer says that this helps. Only logical unit 0 of a target is looked at.
#pragma once

#include "drivers/block/sector_disk.hh"
#include "drivers/scsi/command.hh"

namespace kiln::scsi {

// What carries commands to targets. Context: threads, no spin locks; from several at once.
class adapter {
public:
    // err::io when the adapter is given up. What the device answered is judged by the caller.
    virtual result<answer> execute(u32 target, const command_block& command, direction data,
                                   std::span<const dma_piece> pieces) = 0;
    // Of transfers; the size of a sector is the disk's.
    virtual transfer_limits limits() const = 0;

protected:
    ~adapter() = default;
};

class disk final : public sector_disk {
public:
    // The adapter outlives it.
    disk(adapter& by, u32 target) : _adapter(by), _target(target) {}

    // Whether there is a disk.
    result<bool> find();
    // Reads its geometry; it is called sdX then.
    result<void> start(char letter);

    std::string_view name() const override { return {_name, 3}; }
    bool read_only() const override { return _read_only; }
    result<void> flush() override;

private:
    result<answer> run(const command_block& command, direction data,
                       std::span<const dma_piece> pieces);
    result<void> ask(const command_block& command, std::span<u8> into);
    result<capacity> ask_capacity();
    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override;

    adapter& _adapter;
    const u32 _target;
    u32 _sector_size = 512;
    bool _read_only = false;
    std::atomic<bool> _has_cache{true};
    char _name[3] = {'s', 'd', '?'};
};

// Registers the disks of an adapter: its targets [0, count) are asked one by one.
void add_disks(adapter& by, u32 count, std::string_view driver);

}  // namespace kiln::scsi
