#include "drivers/pci/function.hh"

namespace kiln::pci {

result<u64> bar_window::take(u64 size) {
    if (size == 0 || size > _top - _bottom) {
        return err::nospc;
    }
    const u64 place = align_down(_top - size, size);
    if (place < _bottom) {
        return err::nospc;
    }
    _top = place;
    return place;
}

bool function::probe() {
    const u32 id = read(config::id);
    if (id == 0xffff'ffff || id == 0) {
        return false;
    }
    _vendor = static_cast<u16>(id);
    _device = static_cast<u16>(id >> 16);
    _class = read(config::class_code);
    _header = static_cast<u8>(read(config::header) >> 16);
    return true;
}

u8 function::find_capability(u8 wanted, u8 previous) const {
    if (previous == 0 && (read(config::command) & config::status_has_capabilities) == 0) {
        return 0;
    }
    u8 at = previous == 0 ? read8(config::capabilities) : read8(previous + 1);
    // A damaged list may be a circle: there is room for 48 capabilities at the most.
    for (u32 steps = 0; steps < 48; ++steps) {
        at = static_cast<u8>(at & ~3);
        if (at < 0x40) {
            return 0;
        }
        const u32 head = read(at);
        if (static_cast<u8>(head) == wanted) {
            return at;
        }
        at = static_cast<u8>(head >> 8);
    }
    return 0;
}

void function::enable(u32 command_bits) {
    // The upper half is the status, whose bits are cleared by writing ones: write zeros.
    const u32 now = read(config::command) & 0xffff;
    if ((now & command_bits) != command_bits) {
        write(config::command, now | command_bits);
    }
}

void function::disable(u32 command_bits) {
    write(config::command, read(config::command) & 0xffff & ~command_bits);
}

u64 function::assigned_memory_bar(u32 index) const {
    const u32 low = read(bar_offset(index));
    if ((low & 1) != 0) {
        return 0;
    }
    u64 place = low & ~u32{15};
    if ((low & 7) == 4 && index + 1 < bars_of_a_device) {
        place |= u64{read(bar_offset(index + 1))} << 32;
    }
    return place;
}

u64 function::bar_size(u32 index) {
    const u32 before = read(bar_offset(index));
    write(bar_offset(index), 0xffff'ffff);
    const u32 mask = read(bar_offset(index)) & ~u32{15};
    write(bar_offset(index), before);
    return mask == 0 ? 0 : u64{~mask} + 1;
}

u64 function::memory_bar_size(u32 index) {
    if (index >= bars_of_a_device || bar_is_io(index)) {
        return 0;
    }
    const u32 before = read(config::command) & command::memory;
    disable(command::memory);
    const u64 size = bar_size(index);
    enable(before);
    return size;
}

result<u64> function::place_bar(u32 index, bar_window& window) {
    disable(command::memory);
    const u64 size = bar_size(index);
    if (size == 0) {
        return err::nodev;
    }
    const u64 place = TRY(window.take(size));
    const bool wide = bar_is_64_bit(index);
    write(bar_offset(index), static_cast<u32>(place));
    if (wide && index + 1 < bars_of_a_device) {
        write(bar_offset(index + 1), 0);
    }
    return place;
}

result<u64> function::bar_address(u32 index, bar_window& window) {
    if (index >= bars_of_a_device) {
        return err::nodev;
    }
    if (bar_is_io(index)) {
        const u32 port = read(bar_offset(index)) & ~u32{3};
        return port == 0 || port > 0xffff ? result<u64>(err::nodev) : result<u64>(u64{port});
    }
    const u64 place = assigned_memory_bar(index);
    return place != 0 ? result<u64>(place) : place_bar(index, window);
}

}  // namespace kiln::pci
