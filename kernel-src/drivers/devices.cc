// kernel only
// Which driver takes which device. One pass over what enumeration found.
#include "drivers/devices.hh"

#include "arch/x86_64/ioapic.hh"
#include "core/log.hh"
#include "drivers/ahci/drivers.hh"
#include "drivers/e1000/drivers.hh"
#include "drivers/ena/drivers.hh"
#include "drivers/ide/drivers.hh"
#include "drivers/mptsas/drivers.hh"
#include "drivers/nvme/drivers.hh"
#include "drivers/pci/pci.hh"
#include "drivers/pvscsi/drivers.hh"
#include "drivers/serial/serial_console.hh"
#include "drivers/serial/uart16550.hh"
#include "drivers/virtio/drivers.hh"
#include "drivers/virtio/ring.hh"
#include "drivers/vmxnet3/drivers.hh"
#include "drivers/xen/console.hh"
#include "drivers/xen/fronts.hh"
#include "drivers/xen/xen.hh"

namespace kiln {
namespace {

struct virtio_driver {
    std::string_view name;
    u16 type;
    result<void> (*start)(unique<virtio::transport> by);
};

// In the order in which they are started: the console's conversation runs while the others start.
constexpr virtio_driver virtio_drivers[] = {
    {"virtio-console", virtio::device_type::console, &virtio::start_console},
    {"virtio-blk", virtio::device_type::block, &virtio::start_block},
    {"virtio-scsi", virtio::device_type::scsi, &virtio::start_scsi},
    {"virtio-net", virtio::device_type::net, &virtio::start_net},
    {"virtio-rng", virtio::device_type::entropy, &virtio::start_entropy},
};

// A driver of PCI devices: which functions it takes, by vendor and device or by class, and how it
// starts with one. No function is taken by two.
struct pci_driver {
    std::string_view name;
    bool (*takes)(const pci::function& function);
    result<void> (*start)(pci::function& function);
};

constexpr pci_driver pci_drivers[] = {
    {"nvme", &nvme::takes, &nvme::start},
    {"ahci", &ahci::takes, &ahci::start},
    {"ide", &ide::takes, &ide::start},
    {"pvscsi", &pvscsi::takes, &pvscsi::start},
    {"mptsas", &mptsas::takes, &mptsas::start},
    {"e1000", &e1000::takes, &e1000::start},
    {"vmxnet3", &vmxnet3::takes, &vmxnet3::start},
    {"ena", &ena::takes, &ena::start},
};

void complain(std::string_view driver, const pci::function& of, err error) {
    log_warning("{}: the device at {:02x}:{:02x}.{} cannot be used (error {})", driver,
                of.at().bus, of.at().device, of.at().function, error);
}

template <class T>
result<void> start_virtio(const virtio_driver& by, result<T> transport) {
    return by.start(TRY(std::move(transport)));
}

void start_all(const virtio_driver& by) {
    for (pci::function& each : pci::all_functions()) {
        if (virtio::type_of(each) != by.type) {
            continue;
        }
        auto outcome = start_virtio(by, virtio::open_transport(each));
        if (!outcome.ok()) {
            complain(by.name, each, outcome.error());
        }
    }
    for (usize i = 0; i < virtio::mmio_device_count(); ++i) {
        if (virtio::mmio_device_type(i) != by.type) {
            continue;
        }
        auto outcome = start_virtio(by, virtio::open_mmio_device(i));
        if (!outcome.ok()) {
            log_warning("{}: the device at {:x} cannot be used (error {})", by.name,
                        virtio::mmio_device_address(i), outcome.error());
        }
    }
}

void start_all(const pci_driver& by) {
    for (pci::function& each : pci::all_functions()) {
        if (!by.takes(each)) {
            continue;
        }
        auto outcome = by.start(each);
        if (!outcome.ok()) {
            complain(by.name, each, outcome.error());
        }
    }
}

}  // namespace

void devices_init(std::string_view boot_line) {
    if (!io_apic_init().ok()) {
        log_warning("ioapic: cannot be mapped");
    }
    xen::device_list of_xen = xen::start();
    if (!pci::init().ok() || !virtio::find_mmio_devices(boot_line).ok()) {
        log_warning("out of memory while looking for devices");
    }
    for (const virtio_driver& each : virtio_drivers) {
        start_all(each);
    }
    for (const pci_driver& each : pci_drivers) {
        start_all(each);
    }
    xen::start_fronts(std::move(of_xen));
    virtio::finish_consoles();
    if (!first_serial_port().present()) {
        xen::fill_console();
    }
    fill_console_with_serial();
}

}  // namespace kiln
