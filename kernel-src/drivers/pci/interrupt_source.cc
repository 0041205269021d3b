// kernel only
// MSI-X, MSI and shared lines. (PCI Local Bus 3.0, 6.8.)
//
// Lines: every function on a line has its handler called; handlers find out by themselves whether
// it was their device. `lines` only grows, at boot, from one thread; handlers read it without a
// lock.
#include <atomic>

#include "core/spinlock.hh"
#include "drivers/acpi/acpi.hh"
#include "drivers/mmio.hh"
#include "drivers/pci/pci.hh"
#include "lib/ref.hh"

namespace kiln::pci {
namespace {

constexpr u32 msix_enable = 1u << 31, msix_mask_all = 1u << 30;
constexpr usize msix_entry_size = 16;
constexpr u32 msi_enable = 1u << 16, msi_is_64_bit = 1u << 23, msi_count_mask = 7u << 20;
constexpr u32 lines_of_the_isa = 16;

struct line_user {
    interrupt_handler handler;
    void* context;
    line_user* next;
};
constinit std::atomic<line_user*> lines[lines_of_the_isa];

void on_line(void* context) {
    auto& users = *static_cast<std::atomic<line_user*>*>(context);
    for (line_user* at = users.load(std::memory_order_acquire); at != nullptr; at = at->next) {
        at->handler(at->context);
    }
}

}  // namespace

result<void> interrupt_source::init(function& of) {
    _function = &of;
    const u8 msix = of.find_capability(capability::msix);
    if (msix != 0 && map_msix(msix).ok()) {
        return {};
    }
    _msi = of.find_capability(capability::msi);
    _messages = 1;
    return {};
}

result<void> interrupt_source::map_msix(u8 capability) {
    const u32 head = _function->read(capability);
    const u32 place = _function->read(static_cast<u16>(capability + 4));
    const u32 count = ((head >> 16) & 0x7ff) + 1;
    _msix = capability;
    _table = TRY(map_bar(*_function, place & 7, place & ~u32{7}, count * msix_entry_size));
    _messages = count;
    // Every entry is masked after reset; those that are connected get unmasked one by one.
    _function->write(capability, (head | msix_enable) & ~msix_mask_all);
    _function->enable(command::no_intx);
    return {};
}

result<void> interrupt_source::connect(u32 index, interrupt_handler handler, void* context,
                                       u32 cpu) {
    if (index >= _messages) {
        return err::nospc;
    }
    if (_table == nullptr && _msi == 0) {
        return connect_line(handler, context, cpu);
    }
    const u32 vector = TRY(allocate_interrupt_vector(handler, context, cpu));
    if (_table == nullptr) {
        return connect_msi(vector, cpu);
    }
    volatile u8* entry = _table + index * msix_entry_size;
    const u64 target = msi_address(cpu);
    mmio_write<u32>(entry, 0, static_cast<u32>(target));
    mmio_write<u32>(entry, 4, static_cast<u32>(target >> 32));
    mmio_write<u32>(entry, 8, vector);
    mmio_write<u32>(entry, 12, 0);
    return {};
}

result<void> interrupt_source::connect_msi(u32 vector, u32 cpu) {
    const u64 target = msi_address(cpu);
    const u32 head = _function->read(_msi);
    _function->write(static_cast<u16>(_msi + 4), static_cast<u32>(target));
    if ((head & msi_is_64_bit) != 0) {
        _function->write(static_cast<u16>(_msi + 8), static_cast<u32>(target >> 32));
        _function->write(static_cast<u16>(_msi + 12), vector);
    } else {
        _function->write(static_cast<u16>(_msi + 8), vector);
    }
    _function->write(_msi, (head & ~msi_count_mask) | msi_enable);
    _function->enable(command::no_intx);
    return {};
}

void interrupt_source::silence() {
    if (_table != nullptr) {
        _function->write(_msix, _function->read(_msix) | msix_mask_all);
    } else if (_msi != 0) {
        _function->write(_msi, _function->read(_msi) & ~msi_enable);
    }
    _function->enable(command::no_intx);
}

result<void> connect_shared_line(u8 line, interrupt_handler handler, void* context, u32 cpu) {
    if (line >= lines_of_the_isa) {
        return err::nodev;
    }
    auto* user = TRY(make_unique<line_user>(line_user{handler, context, nullptr})).leak();
    user->next = lines[line].load(std::memory_order_relaxed);
    lines[line].store(user, std::memory_order_release);
    if (user->next == nullptr) {
        const u32 vector = TRY(allocate_interrupt_vector(&on_line, &lines[line], cpu));
        // PCI's lines are level and, on PC interrupt controllers, active high unless ACPI says so.
        const auto wiring = acpi::isa_interrupt(line);
        TRY(route_gsi(wiring.gsi, vector, true, wiring.active_low, cpu));
    }
    return {};
}

result<void> interrupt_source::connect_line(interrupt_handler handler, void* context, u32 cpu) {
    if (_function->interrupt_pin() == 0) {
        return err::nodev;
    }
    TRY(connect_shared_line(_function->interrupt_line(), handler, context, cpu));
    _function->disable(command::no_intx);
    return {};
}

}  // namespace kiln::pci
