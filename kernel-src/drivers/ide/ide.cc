// kernel only
// IDE adapters that do DMA: PIIX3 and PIIX4, which QEMU's older PC and VirtualBox have. Their two
// channels are where a PC's always were, with ISA interrupts; channels in PCI's native mode are left
// alone.
#include "arch/x86_64/interrupts.hh"
#include "arch/x86_64/ports.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/block/sd_letter.hh"
#include "drivers/dma.hh"
#include "drivers/ide/disk.hh"
#include "drivers/ide/drivers.hh"
#include "drivers/pci/pci.hh"
#include "lib/ref.hh"

namespace kiln::ide {
namespace {

constexpr u32 master_bar = 4, memory_order = 2;
static_assert(channel::memory_size == page_size << memory_order);

struct place {
    u16 command;
    u16 control;
    u8 interrupt;
    u8 native_bit;  // of the programming interface
    std::string_view name;
};
constexpr place places[] = {{0x1f0, 0x3f6, 14, 1u << 0, "the first channel"},
                            {0x170, 0x376, 15, 1u << 2, "the second channel"}};

class adapter_channel final : private ports, public channel {
public:
    adapter_channel(pci::function& function, const place& where)
        : channel(static_cast<ports&>(*this), where.command, where.control, where.name),
          _function(function), _where(where) {}

    // Whether there is a disk.
    bool find_disks();
    result<void> start(u16 master);

private:
    u8 in8(u16 port) override { return kiln::in8(port); }
    u16 in16(u16 port) override { return kiln::in16(port); }
    void out8(u16 port, u8 value) override { kiln::out8(port, value); }
    void out32(u16 port, u32 value) override { kiln::out32(port, value); }
    void cut_off() override {
        _function.disable(pci::command::bus_master);
        mask_gsi(acpi::isa_interrupt(_where.interrupt).gsi);
    }

    static void on_interrupt(void* context) {
        static_cast<adapter_channel*>(context)->channel::on_interrupt();
    }
    result<void> route();
    result<void> add_disk(u32 unit);

    pci::function& _function;
    const place& _where;
    result<ata::disk_identity> _found[2]{err::nodev, err::nodev};
};

bool adapter_channel::find_disks() {
    for (u32 unit = 0; unit < 2; ++unit) {
        _found[unit] = identify(unit);
        if (!_found[unit].ok() && _found[unit].error() != err::nodev) {
            log_warning("ide: {}, device {} cannot be used (error {})", _where.name, unit,
                        _found[unit].error());
        }
    }
    return _found[0].ok() || _found[1].ok();
}

result<void> adapter_channel::route() {
    const auto wiring = acpi::isa_interrupt(_where.interrupt);
    const u32 vector = TRY(allocate_interrupt_vector(&on_interrupt, this, 0));
    return route_gsi(wiring.gsi, vector, wiring.level, wiring.active_low, 0);
}

result<void> adapter_channel::add_disk(u32 unit) {
    auto made = TRY(make_unique<disk>(*this, unit, _found[unit].value()));
    TRY(made->start(next_sd_letter()));
    log_debug("ide: {} of {} bytes", made->name(), made->size_in_bytes());
    register_block_device(*made.leak());
    return {};
}

// Memory is handed out from below, so early in the boot it lies below 4 GiB.
result<void> adapter_channel::start(u16 master) {
    void* const memory = page_data(*TRY(alloc_pages(memory_order)));
    if (dma_address(memory) + channel::memory_size > u64{1} << 32) {
        return err::nomem;
    }
    TRY(route());
    channel::start(master, memory);
    for (u32 unit = 0; unit < 2; ++unit) {
        if (_found[unit].ok()) {
            TRY(add_disk(unit));
        }
    }
    return {};
}

// The adapter's own registers are only looked for where there is a disk: not all firmware places them.
result<void> try_channel(pci::function& function, u32 number) {
    const place& where = places[number];
    if ((function.programming_interface() & where.native_bit) != 0) {
        log_debug("ide: {} is in native mode, which is not supported", where.name);
        return {};
    }
    auto made = TRY(make_unique<adapter_channel>(function, where));
    if (!made->find_disks()) {
        return {};
    }
    const u16 master = TRY(pci::io_bar(function, master_bar));
    // Never freed: from here on its interrupt handler may run.
    return made.leak()->start(static_cast<u16>(master + number * master::channel_stride));
}

}  // namespace

// Mass storage, IDE, with a bus master (PCI class codes).
bool takes(const pci::function& function) {
    constexpr u8 has_bus_master = 1u << 7;
    return function.base_class() == 0x01 && function.sub_class() == 0x01 &&
           (function.programming_interface() & has_bus_master) != 0;
}

result<void> start(pci::function& function) {
    for (u32 number = 0; number < 2; ++number) {
        TRY(try_channel(function, number));
    }
    return {};
}

}  // namespace kiln::ide
