// kernel only
// LSI Logic SAS (SAS1068) on PCI: what VMware and VirtualBox offer beside their own adapters. The
// protocol is drivers/mptsas/controller.hh.
#include <algorithm>

#include "drivers/mmio.hh"
#include "drivers/mptsas/controller.hh"
#include "drivers/mptsas/drivers.hh"
#include "drivers/pci/pci.hh"
#include "lib/ref.hh"

namespace kiln::mptsas {
namespace {

constexpr u16 lsi_logic = 0x1000;
// SAS1064, 1068, 1064E and 1068E.
constexpr u16 device_numbers[] = {0x0050, 0x0054, 0x0056, 0x0058};

class mapped_registers : public registers {
public:
    result<void> map(pci::function& function) {
        _base = TRY(pci::map_first_memory_bar(function, reg::window_size));
        return {};
    }
    u32 read(usize offset) override { return mmio_read<u32>(_base, offset); }
    void write(usize offset, u32 value) override { mmio_write<u32>(_base, offset, value); }

private:
    volatile u8* _base = nullptr;
};

class pci_controller final : private mapped_registers, public controller {
public:
    explicit pci_controller(pci::function& function)
        : controller(static_cast<registers&>(*this)), _function(function) {}

    result<void> start();
    void cut_off() override;

private:
    static void on_interrupt(void* context) {
        auto& self = *static_cast<pci_controller*>(context);
        self.controller::on_interrupt(self._interrupts.is_message());
    }

    pci::function& _function;
    pci::interrupt_source _interrupts;
};

result<void> pci_controller::start() {
    TRY(_interrupts.init(_function));
    TRY(map(_function));
    TRY(prepare());
    TRY(_interrupts.connect(0, &on_interrupt, this, 0));
    _function.enable(pci::command::bus_master);
    return controller::start();
}

void pci_controller::cut_off() {
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
}

}  // namespace

bool takes(const pci::function& function) {
    return function.vendor() == lsi_logic &&
           std::find(std::begin(device_numbers), std::end(device_numbers), function.device()) !=
               std::end(device_numbers);
}

result<void> start(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    pci_controller* made = TRY(make_unique<pci_controller>(function)).leak();
    auto outcome = made->start();
    if (!outcome.ok()) {
        made->cut_off();
        return outcome;
    }
    scsi::add_disks(*made, made->targets(), "mptsas");
    return {};
}

}  // namespace kiln::mptsas
