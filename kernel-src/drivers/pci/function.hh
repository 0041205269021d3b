// A PCI function that enumeration found, and what a driver asks of it. No locks: one driver owns a
// function. Context: threads.
#pragma once

#include "drivers/pci/config_space.hh"
#include "lib/result.hh"

namespace kiln::pci {

// Memory below 4 GiB for BARs that the firmware left at 0, handed out from the top down.
class bar_window {
public:
    constexpr bar_window(u64 bottom, u64 top) : _bottom(bottom), _top(top) {}
    // `size` is a power of two; the place is aligned to it.
    result<u64> take(u64 size);
    // Nothing is handed out at or above `address` from now on.
    void lower_top(u64 address) { _top = address < _top ? address : _top; }
    u64 bottom() const { return _bottom; }
    u64 top() const { return _top; }

private:
    u64 _bottom;
    u64 _top;
};

class function {
public:
    function(config_space& space, address at) : _space(&space), _at(at) {}

    address at() const { return _at; }
    u16 vendor() const { return _vendor; }
    u16 device() const { return _device; }
    u8 base_class() const { return static_cast<u8>(_class >> 24); }
    u8 sub_class() const { return static_cast<u8>(_class >> 16); }
    u8 programming_interface() const { return static_cast<u8>(_class >> 8); }
    bool is_bridge() const { return (_header & 0x7f) == 1; }
    bool has_more_functions() const { return (_header & 0x80) != 0; }
    u8 secondary_bus() const { return static_cast<u8>(read(config::bus_numbers) >> 8); }
    u16 subsystem_device() const { return static_cast<u16>(read(config::subsystem) >> 16); }
    u8 revision() const { return static_cast<u8>(_class); }

    // Reads what identifies it; false when nothing answers there.
    bool probe();

    u32 read(u16 offset) const { return _space->read(_at, offset); }
    void write(u16 offset, u32 value) { _space->write(_at, offset, value); }
    u8 read8(u16 offset) const {
        return static_cast<u8>(read(align_down(offset, 4)) >> (offset % 4 * 8));
    }

    // Offset of the next capability with this number after `previous` (0: from the start), or 0.
    u8 find_capability(u8 wanted, u8 previous = 0) const;

    bool bar_is_io(u32 index) const { return (read(bar_offset(index)) & 1) != 0; }
    // Where BAR `index` lies; a memory BAR at 0 is placed in `window` first. err::nodev when the
    // BAR does not exist.
    result<u64> bar_address(u32 index, bar_window& window);
    // What the firmware assigned, without side effects; 0: nothing, or an I/O BAR.
    u64 assigned_memory_bar(u32 index) const;
    // Bytes of a memory BAR, 0 when there is none. While it is asked the function decodes nothing.
    u64 memory_bar_size(u32 index);
    bool bar_is_64_bit(u32 index) const { return (read(bar_offset(index)) & 7) == 4; }

    void enable(u32 command_bits);
    void disable(u32 command_bits);

    u8 interrupt_line() const { return static_cast<u8>(read(config::interrupt)); }
    u8 interrupt_pin() const { return static_cast<u8>(read(config::interrupt) >> 8); }

private:
    static u16 bar_offset(u32 index) { return static_cast<u16>(config::bar0 + index * 4); }
    u64 bar_size(u32 index);
    result<u64> place_bar(u32 index, bar_window& window);

    config_space* _space;
    address _at;
    u16 _vendor = 0xffff;
    u16 _device = 0xffff;
    u32 _class = 0;
    u8 _header = 0;
};

}  // namespace kiln::pci
