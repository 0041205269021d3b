// kernel only
#include "drivers/virtio/pci_transport.hh"

#include "drivers/virtio/drivers.hh"

namespace kiln::virtio {

// VIRTIO 1.2, 4.1.2: newer devices carry their type in the device number, transitional ones as the
// subsystem's.
u16 type_of(const pci::function& function) {
    constexpr u16 vendor = 0x1af4, transitional = 0x1000, transitional_end = 0x1040,
                  modern_end = 0x1080;
    const u16 device = function.device();
    if (function.vendor() != vendor || device < transitional || device >= modern_end) {
        return 0;
    }
    return device < transitional_end ? function.subsystem_device()
                                     : static_cast<u16>(device - transitional_end);
}

result<unique<transport>> open_transport(pci::function& of) {
    pci::interrupt_source interrupts;
    TRY(interrupts.init(of));
    of.enable(pci::command::bus_master);
    auto modern = open_modern(of, interrupts);
    return modern.ok() ? std::move(modern) : open_legacy(of, interrupts);
}

}  // namespace kiln::virtio
