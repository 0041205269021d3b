#include "drivers/e1000/hardware.hh"

#include "core/clock.hh"
#include "core/log.hh"
#include "core/thread.hh"
#include "drivers/mmio.hh"

namespace kiln::e1000 {
namespace {

constexpr u64 longest_reset = 100 * ns_per_ms;
constexpr u64 longest_eeprom_read = 20 * ns_per_ms;

bool is_usable(const net::mac_address& mac) {
    return !mac.is_multicast() && mac != net::mac_address{};
}

}  // namespace

u32 hardware::read(u32 where) const {
    return mmio_read<u32>(_registers, where);
}

void hardware::write(u32 where, u32 value) {
    mmio_write<u32>(_registers, where, value);
}

void hardware::stop() {
    write(reg::interrupt_mask_clear, cause::all);
    write(reg::receive_control, 0);
    write(reg::transmit_control, transmit_control::pad_short);
    (void)read(reg::status);  // the writes have arrived
}

result<void> hardware::reset() {
    stop();
    write(reg::control, read(reg::control) | control::reset);
    const u64 deadline = deadline_after(longest_reset);
    while ((read(reg::control) & control::reset) != 0) {
        if (now() > deadline) {
            log_error("e1000: no end of the reset after {} ms", longest_reset / ns_per_ms);
            return err::timedout;
        }
        yield();
    }
    write(reg::interrupt_mask_clear, cause::all);
    (void)read(reg::interrupt_cause);
    return {};
}

result<u16> hardware::read_eeprom(u32 index) {
    const u32 done = _newer ? eeprom::done_82574 : eeprom::done;
    const u32 shift = _newer ? eeprom::index_shift_82574 : eeprom::index_shift;
    write(reg::eeprom_read, index << shift | eeprom::start);
    const u64 deadline = deadline_after(longest_eeprom_read);
    for (;;) {
        const u32 value = read(reg::eeprom_read);
        if ((value & done) != 0) {
            return static_cast<u16>(value >> 16);
        }
        if (now() > deadline) {
            log_error("e1000: no word of the EEPROM after {} ms", longest_eeprom_read / ns_per_ms);
            return err::timedout;
        }
        yield();
    }
}

result<net::mac_address> hardware::read_mac() {
    const u32 low = read(reg::address_low), high = read(reg::address_high);
    net::mac_address mac{};
    __builtin_memcpy(mac.bytes, &low, 4);
    __builtin_memcpy(mac.bytes + 4, &high, 2);
    if ((high & address_valid) != 0 && is_usable(mac)) {
        return mac;
    }
    for (u32 i = 0; i < 3; ++i) {
        const u16 word = TRY(read_eeprom(i));
        __builtin_memcpy(mac.bytes + i * 2, &word, 2);
    }
    return is_usable(mac) ? result<net::mac_address>(mac) : err::nodev;
}

void hardware::enable(const net::mac_address& mac) {
    u32 low = 0, high = 0;
    __builtin_memcpy(&low, mac.bytes, 4);
    __builtin_memcpy(&high, mac.bytes + 4, 2);
    write(reg::address_low, low);
    write(reg::address_high, high | address_valid);
    write(reg::receive_delay, 0);
    write(reg::interrupt_throttle, 0);
    write(reg::receive_checksum, receive_checksum_on);
    const u32 forced = control::force_speed | control::force_duplex;
    write(reg::control, (read(reg::control) & ~forced) | control::auto_speed | control::link_up |
                            control::full_duplex);
    if (_newer) {
        const u32 queue = reg::transmit_base + reg::descriptor_control;
        write(queue, read(queue) | descriptor_control_82574);
    } else {
        write(reg::transmit_gap, transmit_gap_copper);
    }
    write(reg::transmit_control, transmit_control::enable | transmit_control::pad_short |
                                     transmit_control::collisions |
                                     transmit_control::collision_distance);
    write(reg::receive_control, receive_control::enable | receive_control::all_multicast |
                                    receive_control::accept_broadcast |
                                    receive_control::buffers_of_2048 |
                                    receive_control::strip_crc);
}

// Reading clears the causes, on an 82574 with messages only while all are masked. On a line that
// others share nothing is masked before the cause is known.
u32 hardware::take_causes(bool line_is_shared) {
    if (!line_is_shared) {
        write(reg::interrupt_mask_clear, cause::all);
    }
    const u32 causes = read(reg::interrupt_cause);
    if (line_is_shared && causes != 0) {
        write(reg::interrupt_mask_clear, cause::all);
    }
    return causes;
}

}  // namespace kiln::e1000
