// kernel only
// AHCI (Serial ATA AHCI 1.3.1): the adapter, and which of its ports have disks. What VirtualBox has
// by default, and QEMU's and VMware's newer machines.
#include <algorithm>
#include <bit>

#include "core/log.hh"
#include "drivers/ahci/drivers.hh"
#include "drivers/ahci/port.hh"
#include "drivers/block/sd_letter.hh"
#include "drivers/interrupt_watch.hh"
#include "drivers/mmio.hh"
#include "drivers/pci/pci.hh"
#include "drivers/poll.hh"
#include "lib/ref.hh"

namespace kiln::ahci {
namespace {

constexpr u32 registers_bar = 5, most_slots = 8;
// Section 10.6.3: firmware that is busy gets two seconds to let go.
constexpr u64 handoff_patience = 2 * ns_per_s;

class adapter : noncopyable {
public:
    explicit adapter(pci::function& function) : _function(function) {}
    result<void> start();

private:
    static void on_interrupt(void* context);
    void switch_off();
    void take_from_firmware();
    void start_port(u32 number, u32 slots);
    result<void> try_port(u32 number, u32 slots);

    pci::function& _function;
    pci::interrupt_source _interrupts;
    volatile u8* _registers = nullptr;
    interrupt_watch _watch;
    port* _ports[hba::most_ports]{};
};

void adapter::take_from_firmware() {
    if ((mmio_read<u32>(_registers, hba::capabilities_2) & hba::can_hand_off) == 0) {
        return;
    }
    mmio_write<u32>(_registers, hba::handoff,
                    mmio_read<u32>(_registers, hba::handoff) | hba::os_owned);
    const bool released = poll_until(
        [&] {
            return (mmio_read<u32>(_registers, hba::handoff) &
                    (hba::bios_owned | hba::bios_busy)) == 0;
        },
        handoff_patience);
    if (!released) {
        log_warning("ahci: the firmware has not let go for {} s; it is taken from it",
                    handoff_patience / ns_per_s);
    }
}

result<void> adapter::start() {
    constexpr usize registers_size = port_reg::first + hba::most_ports * port_reg::size;
    _registers = TRY(pci::map_bar(_function, registers_bar, 0, registers_size));
    take_from_firmware();
    const u32 can = mmio_read<u32>(_registers, hba::capabilities);
    if ((can & hba::addresses_64_bit) == 0) {
        log_warning("ahci: an adapter that reaches only 4 GiB of memory");
        return err::opnotsupp;
    }
    mmio_write<u32>(_registers, hba::control, hba::ahci_mode);
    const u32 slots = std::min((can >> 8 & 0x1f) + 1, most_slots);
    const u32 present = mmio_read<u32>(_registers, hba::ports_implemented);
    for (u32 left = present; left != 0; left &= left - 1) {
        const u32 number = static_cast<u32>(std::countr_zero(left));
        mmio_write<u32>(_registers + port_reg::first + number * port_reg::size,
                        port_reg::interrupt_enable, 0);
    }
    mmio_write<u32>(_registers, hba::interrupt_status, ~u32{0});
    TRY(_interrupts.init(_function));
    TRY(_interrupts.connect(0, &on_interrupt, this, 0));
    mmio_write<u32>(_registers, hba::control, hba::ahci_mode | hba::interrupts);
    for (u32 left = present; left != 0; left &= left - 1) {
        start_port(static_cast<u32>(std::countr_zero(left)), slots);
    }
    return {};
}

void adapter::start_port(u32 number, u32 slots) {
    auto outcome = try_port(number, slots);
    if (!outcome.ok()) {
        log_warning("ahci: port {} cannot be used (error {})", number, outcome.error());
    }
}

result<void> adapter::try_port(u32 number, u32 slots) {
    volatile u8* registers = _registers + port_reg::first + number * port_reg::size;
    auto made = TRY(make_unique<port>(registers, number, slots));
    if (!made->has_device() || !TRY(made->find_disk())) {
        return {};
    }
    // Never freed: from here on the interrupt handler may use it.
    port& disk = *(_ports[number] = made.leak());
    TRY(disk.start(next_sd_letter()));
    log_debug("ahci: {} of {} bytes", disk.name(), disk.size_in_bytes());
    register_block_device(disk);
    return {};
}

void adapter::on_interrupt(void* context) {
    auto& self = *static_cast<adapter*>(context);
    const u32 waiting = mmio_read<u32>(self._registers, hba::interrupt_status);
    bool worked = false;
    for (u32 left = waiting; left != 0; left &= left - 1) {
        if (port* of = self._ports[std::countr_zero(left)]; of != nullptr) {
            worked = of->on_interrupt() || worked;
        }
    }
    // After the ports: the adapter would set a bit again whose port still has a cause.
    mmio_write<u32>(self._registers, hba::interrupt_status, waiting);
    const bool is_own = waiting != 0 || self._interrupts.is_message();
    if (is_own && self._watch.is_endless(worked)) {
        self.switch_off();
    }
}

// In the interrupt handler.
void adapter::switch_off() {
    log_error("ahci: the adapter interrupts without end; it is not used any more");
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
    for (port* each : _ports) {
        if (each != nullptr) {
            each->give_up();
        }
    }
}

}  // namespace

// Mass storage, Serial ATA, AHCI (PCI class codes).
bool takes(const pci::function& function) {
    return function.base_class() == 0x01 && function.sub_class() == 0x06 &&
           function.programming_interface() == 0x01;
}

result<void> start(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    adapter& made = *TRY(make_unique<adapter>(function)).leak();
    return made.start();
}

}  // namespace kiln::ahci
