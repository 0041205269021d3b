// kernel only
// Which driver takes which device. One pass over what enumeration found.
#include "drivers/devices.hh"

#include "arch/x86_64/ioapic.hh"
#include "core/log.hh"
#include "drivers/ahci/drivers.hh"
#include "drivers/e1000/drivers.hh"
#include "drivers/nvme/drivers.hh"
#include "drivers/pci/pci.hh"
#include "drivers/serial/serial_console.hh"
#include "drivers/virtio/drivers.hh"
#include "drivers/virtio/ring.hh"
#include "drivers/vmxnet3/drivers.hh"

namespace kiln {
namespace {

// A driver of PCI devices: which functions it takes, by vendor and device or by class, and how it
// starts with one. No function is taken by two.
struct driver {
    std::string_view name;
    bool (*takes)(const pci::function& function);
    result<void> (*start)(pci::function& function);
};

template <u16 type>
bool is_virtio(const pci::function& function) {
    return virtio::type_of(function) == type;
}

template <result<void> (*start)(unique<virtio::transport> by)>
result<void> start_virtio(pci::function& function) {
    return start(TRY(virtio::open_transport(function)));
}

// In the order in which they are started: the console's conversation runs while the others start.
constexpr driver drivers[] = {
    {"virtio-console", &is_virtio<virtio::device_type::console>, &start_virtio<&virtio::start_console>},
    {"virtio-blk", &is_virtio<virtio::device_type::block>, &start_virtio<&virtio::start_block>},
    {"nvme", &nvme::takes, &nvme::start},
    {"ahci", &ahci::takes, &ahci::start},
    {"virtio-net", &is_virtio<virtio::device_type::net>, &start_virtio<&virtio::start_net>},
    {"e1000", &e1000::takes, &e1000::start},
    {"vmxnet3", &vmxnet3::takes, &vmxnet3::start},
    {"virtio-rng", &is_virtio<virtio::device_type::entropy>, &start_virtio<&virtio::start_entropy>},
};

void start_all(const driver& by) {
    for (pci::function& each : pci::all_functions()) {
        if (!by.takes(each)) {
            continue;
        }
        auto outcome = by.start(each);
        if (!outcome.ok()) {
            log_warning("{}: the device at {:02x}:{:02x}.{} cannot be used (error {})", by.name,
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
    for (const driver& each : drivers) {
        start_all(each);
    }
    virtio::finish_consoles();
    fill_console_with_serial();
}

}  // namespace kiln
