// kernel only
// Which driver takes which device. One pass over what enumeration found.
#include "drivers/devices.hh"

#include "arch/x86_64/ioapic.hh"
#include "core/log.hh"
#include "drivers/pci/pci.hh"
#include "drivers/serial/serial_console.hh"
#include "drivers/virtio/drivers.hh"
#include "drivers/virtio/ring.hh"

namespace kiln {
namespace {

struct virtio_driver {
    u16 type;
    std::string_view name;
    result<void> (*start)(pci::function& function);
};

// In the order in which they are started: the console's conversation runs while the others start.
constexpr virtio_driver virtio_drivers[] = {
    {virtio::device_type::console, "virtio-console", &virtio::start_console},
    {virtio::device_type::block, "virtio-blk", &virtio::start_block},
    {virtio::device_type::net, "virtio-net", &virtio::start_net},
    {virtio::device_type::entropy, "virtio-rng", &virtio::start_entropy},
};

void start_virtio(const virtio_driver& driver) {
    for (pci::function& each : pci::all_functions()) {
        if (virtio::type_of(each) != driver.type) {
            continue;
        }
        auto outcome = driver.start(each);
        if (!outcome.ok()) {
            log_warning("{}: the device at {:02x}:{:02x}.{} cannot be used (error {})", driver.name,
                        each.at().bus, each.at().device, each.at().function, outcome.error());
        }
    }
}

}  // namespace

void devices_init() {
    if (!io_apic_init().ok()) {
        log_warning("ioapic: cannot be mapped");
    }
    if (!pci::init().ok()) {
        log_warning("pci: out of memory while looking for devices");
    }
    for (const virtio_driver& driver : virtio_drivers) {
        start_virtio(driver);
    }
    virtio::finish_consoles();
    fill_console_with_serial();
}

}  // namespace kiln
