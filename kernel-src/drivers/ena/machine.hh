// What the driver needs of the machine that the card is in: its registers, its memory, its
// interrupts. The kernel's is a PCI function; the host tests have a simulated card.
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::ena {

class machine {
public:
    // Registers; what was written to memory before is seen by the device first.
    virtual u32 read(u32 where) = 0;
    virtual void write(u32 where, u32 value) = 0;
    virtual u64 register_bytes() const = 0;
    // False: reading a register may not work; the device is asked to put its value into memory.
    virtual bool registers_can_be_read() const = 0;

    // The device's own memory for descriptors; 0 bytes when it has none.
    virtual u64 push_bytes() const = 0;
    virtual void push(u64 where, std::span<const u64> line) = 0;

    // MSI-X messages. The handler is called on `cpu` for each.
    virtual u32 messages() const = 0;
    virtual result<void> connect(u32 message, void (*handler)(void*), void* context, u32 cpu) = 0;
    // It interrupts no more. Context: any.
    virtual void silence() = 0;
    // It reaches no memory any more.
    virtual void cut_off() = 0;

    virtual u32 cpus() const = 0;
    // Bus, device and function in 16 bits.
    virtual u16 location() const = 0;

protected:
    ~machine() = default;
};

}  // namespace kiln::ena
