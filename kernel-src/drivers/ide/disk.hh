// A disk on a channel of an IDE adapter.
#pragma once

#include "drivers/ide/channel.hh"

namespace kiln::ide {

class disk final : public sector_disk {
public:
    // The channel outlives it.
    disk(channel& on, u32 unit, const ata::disk_identity& identity)
        : _channel(on), _unit(unit), _identity(identity) {}

    // It is called sd`letter` then.
    result<void> start(char letter);

    std::string_view name() const override { return {_name, sizeof(_name)}; }
    bool read_only() const override { return false; }
    result<void> flush() override;

private:
    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override;

    channel& _channel;
    const u32 _unit;
    const ata::disk_identity _identity;
    char _name[3]{'s', 'd', '?'};
};

}  // namespace kiln::ide
