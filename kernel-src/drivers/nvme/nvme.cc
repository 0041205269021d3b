// kernel only
// NVMe (NVM Express Base Specification 1.4): each namespace of a controller is a disk. What EC2's
// Nitro machines have, and VMware and VirtualBox where one asks for it.
//
// Registers, rings and commands are one file each in this folder; here they become block devices.
#include <algorithm>

#include "core/log.hh"
#include "drivers/nvme/controller.hh"
#include "drivers/nvme/drivers.hh"
#include "drivers/nvme/prp.hh"
#include "lib/format.hh"
#include "lib/ref.hh"

namespace kiln::nvme {
namespace {

constexpr u32 most_name_spaces = 32;

class disk final : public sector_disk {
public:
    disk(controller& owner, u32 number, const name_space_identity& identity)
        : _owner(owner), _number(number), _identity(identity) {}

    result<void> start() {
        _name_size = format_to(_name, "nvme{}n{}", _owner.number(), _number);
        const usize longest = std::min(_owner.identity().longest_transfer, longest_transfer);
        return set_geometry(_identity.sectors, {.sector_size = _identity.sector_size,
                                                .longest = longest,
                                                .alignment = 4,
                                                .joins_at_pages_only = true});
    }
    std::string_view name() const override { return {_name, _name_size}; }
    bool read_only() const override { return _identity.read_only; }

    result<void> flush() override {
        return _owner.identity().has_write_cache ? _owner.run(begin(io::flush), {})
                                                 : result<void>();
    }

private:
    command begin(io what) const {
        command made{};
        made.opcode = static_cast<u8>(what);
        made.name_space = _number;
        return made;
    }

    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override {
        command made = begin(kind == transfer_kind::read ? io::read : io::write);
        usize bytes = 0;
        for (const dma_piece& piece : pieces) {
            bytes += piece.length;
        }
        made.words[0] = static_cast<u32>(sector);
        made.words[1] = static_cast<u32>(sector >> 32);
        made.words[2] = static_cast<u32>(bytes / _identity.sector_size - 1);
        return _owner.run(made, pieces);
    }

    controller& _owner;
    const u32 _number;
    const name_space_identity _identity;
    char _name[24]{};
    usize _name_size = 0;
};

result<void> add_disk(controller& owner, u32 number) {
    const name_space_identity identity = TRY(owner.identify_name_space(number));
    if (identity.sectors == 0) {
        return {};
    }
    auto made = TRY(make_unique<disk>(owner, number, identity));
    TRY(made->start());
    log_debug("nvme: {} of {} bytes, sectors of {}, {} queues", made->name(),
              made->size_in_bytes(), identity.sector_size, owner.queues());
    register_block_device(*made.leak());
    return {};
}

constinit u32 controllers_started = 0;

}  // namespace

// Mass storage, non-volatile memory, by NVM Express (PCI class codes).
bool takes(const pci::function& function) {
    return function.base_class() == 0x01 && function.sub_class() == 0x08 &&
           function.programming_interface() == 0x02;
}

result<void> start(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    controller& made = *TRY(make_unique<controller>(function, controllers_started)).leak();
    TRY(made.start());
    ++controllers_started;
    for (u32 i = 1; i <= std::min(made.identity().name_spaces, most_name_spaces); ++i) {
        auto outcome = add_disk(made, i);
        if (!outcome.ok()) {
            log_warning("nvme{}: namespace {} cannot be used (error {})", made.number(), i,
                        outcome.error());
        }
    }
    return {};
}

}  // namespace kiln::nvme
