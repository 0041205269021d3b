// What the two kinds of virtio registers on PCI have in common.
#pragma once

#include "drivers/virtio/transport.hh"

namespace kiln::virtio {

class pci_transport : public transport {
public:
    pci_transport(pci::function& of, const pci::interrupt_source& interrupts)
        : _function(of), _interrupts(interrupts) {}

    bool has_messages() const final { return _interrupts.has_msix(); }
    result<void> connect(u32 index, interrupt_handler handler, void* context, u32 cpu) final {
        return _interrupts.connect(index, handler, context, cpu);
    }
    void silence() final { _interrupts.silence(); }
    void cut_off() final { _function.disable(pci::command::bus_master); }

protected:
    pci::function& _function;

private:
    pci::interrupt_source _interrupts;
};

result<unique<transport>> open_modern(pci::function& of, const pci::interrupt_source& interrupts);
result<unique<transport>> open_legacy(pci::function& of, const pci::interrupt_source& interrupts);

}  // namespace kiln::virtio
