// kernel only
// The adapter as a PCI function: registers in BAR 0, its own memory in BAR 2, MSI-X.
#include <algorithm>
#include <atomic>

#include "core/thread.hh"
#include "drivers/ena/drivers.hh"
#include "drivers/ena/network.hh"
#include "drivers/mmio.hh"
#include "drivers/pci/pci.hh"

namespace kiln::ena {
namespace {

constexpr u16 amazon = 0x1d0f;
// Physical and virtual functions, each without and with memory of their own, and one that is
// reserved.
constexpr u16 models[] = {0x0ec2, 0x1ec2, 0xec20, 0xec21, 0x0051};
constexpr u32 registers_bar = 0, memory_bar = 2;
constexpr u64 most_registers = 1 * MiB, most_memory = 64 * MiB;
// Of the revision in configuration space.
constexpr u8 registers_cannot_be_asked_for = 1u << 0;

class pci_machine final : public machine {
public:
    explicit pci_machine(pci::function& function) : _function(function) {}

    result<void> open();

    u32 read(u32 where) override { return mmio_read<u32>(_registers, where); }
    void write(u32 where, u32 value) override {
        std::atomic_thread_fence(std::memory_order_release);
        mmio_write<u32>(_registers, where, value);
    }
    u64 register_bytes() const override { return _register_bytes; }
    bool registers_can_be_read() const override {
        return (_function.revision() & registers_cannot_be_asked_for) != 0;
    }
    u64 push_bytes() const override { return _memory_bytes; }
    void push(u64 where, std::span<const u64> line) override {
        for (usize i = 0; i < line.size(); ++i) {
            mmio_write<u64>(_memory, where + i * sizeof(u64), line[i]);
        }
    }
    u32 messages() const override {
        return _interrupts.has_msix() ? _interrupts.message_count() : 0;
    }
    result<void> connect(u32 message, void (*handler)(void*), void* context, u32 cpu) override {
        return _interrupts.connect(message, handler, context, cpu);
    }
    void silence() override { _interrupts.silence(); }
    void cut_off() override { _function.disable(pci::command::bus_master); }
    u32 cpus() const override { return cpu_count(); }
    u16 location() const override {
        const pci::address at = _function.at();
        return static_cast<u16>(at.bus << 8 | at.device << 3 | at.function);
    }

private:
    pci::function& _function;
    pci::interrupt_source _interrupts;
    volatile u8* _registers = nullptr;
    volatile u8* _memory = nullptr;
    u64 _register_bytes = 0;
    u64 _memory_bytes = 0;
};

result<void> pci_machine::open() {
    _register_bytes = std::min(_function.memory_bar_size(registers_bar), most_registers);
    _registers = TRY(pci::map_bar(_function, registers_bar, 0, _register_bytes));
    const u64 memory = std::min(_function.memory_bar_size(memory_bar), most_memory);
    auto mapped = memory == 0 ? result<volatile u8*>(err::nodev)
                              : pci::map_bar(_function, memory_bar, 0, memory);
    if (mapped.ok()) {
        _memory = mapped.take();
        _memory_bytes = memory;
    }
    TRY(_interrupts.init(_function));
    _function.enable(pci::command::bus_master);
    return {};
}

}  // namespace

bool takes(const pci::function& function) {
    return function.vendor() == amazon &&
           std::find(std::begin(models), std::end(models), function.device()) != std::end(models);
}

result<void> start(pci::function& function) {
    // Never freed, as the card is not.
    pci_machine* in = TRY(make_unique<pci_machine>(function)).leak();
    TRY(in->open());
    return nic::add_card<network>(*in);
}

}  // namespace kiln::ena
