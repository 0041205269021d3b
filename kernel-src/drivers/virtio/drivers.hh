// The virtio drivers, by device type. Each takes a device that has been found and either registers it
// as working or says why not and leaves it alone.
#pragma once

#include "drivers/virtio/transport.hh"

namespace kiln::virtio {

result<void> start_block(unique<transport> by);
result<void> start_scsi(unique<transport> by);
result<void> start_net(unique<transport> by);
result<void> start_console(unique<transport> by);
// Consoles talk with their device while others are set up; this waits until they know their ports
// and enters these in the_console().
void finish_consoles();
result<void> start_entropy(unique<transport> by);

// The device type of a virtio function, by its device number; 0 when it is none.
u16 type_of(const pci::function& function);
// Picks the newest registers that the function has.
result<unique<transport>> open_transport(pci::function& of);

// Devices without a bus, by ACPI's tables and the boot line. Once, before the others.
result<void> find_mmio_devices(std::string_view boot_line);
usize mmio_device_count();
u16 mmio_device_type(usize number);
u64 mmio_device_address(usize number);
result<unique<transport>> open_mmio_device(usize number);

}  // namespace kiln::virtio
