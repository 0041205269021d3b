// The machine's PCI: found once at boot, then constant. What drivers of PCI devices use.
#pragma once

#include "arch/x86_64/interrupts.hh"
#include "drivers/pci/function.hh"
#include "lib/vector.hh"

namespace kiln::pci {

// Finds the buses and functions. After acpi_init. Context: threads.
result<void> init();
vector<function>& all_functions();

// Maps [offset, +size) of a memory BAR, placing the BAR first if need be.
result<volatile u8*> map_bar(function& of, u32 index, u64 offset, usize size);
// The start of the first memory BAR that has `size` bytes.
result<volatile u8*> map_first_memory_bar(function& of, usize size);
// The port of an I/O BAR.
result<u16> io_bar(function& of, u32 index);

// One of the ISA's interrupt lines, which functions share, and ACPI with them: every handler of a line is
// called.
result<void> connect_shared_line(u8 line, interrupt_handler handler, void* context, u32 cpu);

// How a function interrupts: a table of MSI-X messages, or one shared line.
class interrupt_source {
public:
    // Chooses MSI-X when the function has it, else MSI, else its line.
    result<void> init(function& of);
    bool has_msix() const { return _table != nullptr; }
    bool has_msi() const { return _msi != 0; }
    // Else it is a line, which other devices may share.
    bool is_message() const { return has_msix() || has_msi(); }
    u32 message_count() const { return _messages; }
    // Calls `handler` on `cpu` for message `index` (with a line or plain MSI: for the one
    // interrupt, index 0).
    result<void> connect(u32 index, interrupt_handler handler, void* context, u32 cpu);
    // The function interrupts no more, in whichever way. Context: any.
    void silence();

private:
    result<void> map_msix(u8 capability);
    result<void> connect_msi(u32 vector, u32 cpu);
    result<void> connect_line(interrupt_handler handler, void* context, u32 cpu);

    function* _function = nullptr;
    volatile u8* _table = nullptr;
    u32 _messages = 0;
    u8 _msi = 0;
    u8 _msix = 0;
};

}  // namespace kiln::pci
