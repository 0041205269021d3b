// kernel only
// Configuration access by ECAM or by ports, the machine's list of functions, and BAR mappings.
#include "drivers/pci/pci.hh"

#include "arch/x86_64/paging.hh"
#include "arch/x86_64/ports.hh"
#include "core/log.hh"
#include "core/spinlock.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/mmio.hh"
#include "drivers/pci/enumerate.hh"
#include "lib/forever.hh"

namespace kiln::pci {
namespace {

constexpr u16 address_port = 0xcf8, data_port = 0xcfc;
constexpr usize ecam_bus_size = 1 * MiB;
// The part of the space below 4 GiB that PCs leave to devices, below the IO-APIC.
constexpr u64 window_bottom = 0xc000'0000, window_top = 0xfe00'0000;

class port_config_space final : public config_space {
public:
    u32 read(address from, u16 offset) override {
        irq_guard guard(_lock);
        select(from, offset);
        return in32(data_port);
    }
    void write(address to, u16 offset, u32 value) override {
        irq_guard guard(_lock);
        select(to, offset);
        out32(data_port, value);
    }

private:
    static void select(address at, u16 offset) {
        out32(address_port, 1u << 31 | u32{at.bus} << 16 | u32{at.device} << 11 |
                                u32{at.function} << 8 | (offset & 0xfcu));
    }
    irq_spinlock _lock;
};

// Two buses, which one large page holds, are mapped when they are first asked for (by the
// enumeration, which is one thread).
class ecam_config_space final : public config_space {
public:
    u32 read(address from, u16 offset) override {
        volatile u8* bus = bus_base(from.bus);
        return bus == nullptr ? ~u32{0} : mmio_read<u32>(bus, place(from, offset));
    }
    void write(address to, u16 offset, u32 value) override {
        volatile u8* bus = bus_base(to.bus);
        if (bus != nullptr) {
            mmio_write<u32>(bus, place(to, offset), value);
        }
    }

private:
    static usize place(address at, u16 offset) {
        return usize{at.device} << 15 | usize{at.function} << 12 | (offset & 0xffcu);
    }
    volatile u8* bus_base(u8 bus) {
        const auto& segment = acpi::tables().mcfg;
        if (bus < segment.first_bus || bus > segment.last_bus) {
            return nullptr;
        }
        volatile u8*& pair = _pairs[bus / 2];
        if (pair == nullptr) {
            auto mapped = map_device(segment.base + u64{bus / 2u} * 2 * ecam_bus_size,
                                     2 * ecam_bus_size);
            if (!mapped.ok()) {
                return nullptr;
            }
            pair = static_cast<volatile u8*>(mapped.value());
        }
        return pair + (bus % 2) * ecam_bus_size;
    }
    volatile u8* _pairs[128]{};
};

constinit port_config_space by_ports;
constinit ecam_config_space by_ecam;
constinit forever<vector<function>> functions;
constinit bar_window window{window_bottom, window_top};
constinit bool window_is_ready = false;

config_space& choose_config_space() {
    if (acpi::tables().mcfg.present() && by_ecam.read({0, 0, 0}, config::id) != ~u32{0}) {
        return by_ecam;
    }
    return by_ports;
}

// Only a machine whose firmware left BARs at 0 needs the window.
bar_window& ready_window() {
    if (!window_is_ready) {
        window_is_ready = true;
        const u64 ecam = acpi::tables().mcfg.base;
        if (ecam >= window_bottom) {
            window.lower_top(ecam);
        }
        keep_clear_of_assigned(*functions, window);
    }
    return window;
}

result<u64> bar_place(function& of, u32 index) {
    const u64 place = of.bar_is_io(index) ? 0 : of.assigned_memory_bar(index);
    return place != 0 ? result<u64>(place) : of.bar_address(index, ready_window());
}

}  // namespace

result<void> init() {
    return enumerate(choose_config_space(), *functions);
}

vector<function>& all_functions() {
    return *functions;
}

result<volatile u8*> map_bar(function& of, u32 index, u64 offset, usize size) {
    if (index >= bars_of_a_device || of.bar_is_io(index)) {
        return err::nodev;
    }
    const u64 place = TRY(bar_place(of, index));
    // One write for all: each makes a hypervisor lay out the machine's memory anew.
    of.enable(command::memory | command::bus_master | command::no_intx);
    return static_cast<volatile u8*>(TRY(map_device(place + offset, size)));
}

result<volatile u8*> map_first_memory_bar(function& of, usize size) {
    for (u32 bar = 0; bar < bars_of_a_device; ++bar) {
        auto mapped = map_bar(of, bar, 0, size);
        if (mapped.ok()) {
            return mapped;
        }
    }
    return err::nodev;
}

result<u16> io_bar(function& of, u32 index) {
    if (index >= bars_of_a_device || !of.bar_is_io(index)) {
        return err::nodev;
    }
    const u64 port = TRY(of.bar_address(index, window));
    of.enable(command::io | command::bus_master);
    return static_cast<u16>(port);
}

}  // namespace kiln::pci
