#include "drivers/ena/hardware.hh"

#include "core/log.hh"
#include "drivers/poll.hh"

namespace kiln::ena {
namespace {

constexpr u64 longest_read = 200 * ns_per_ms;
constexpr u64 usual_command_patience = 3 * ns_per_s;
constexpr u32 oldest_controller = 0x00'0001;  // version 0.0.1
// Addresses in descriptors have 48 bits.
constexpr u32 fewest_address_bits = 32, most_address_bits = 48;

}  // namespace

result<void> hardware::init(machine& by) {
    _machine = &by;
    if (by.register_bytes() < reg::smallest_window) {
        log_error("ena: a device with {} bytes of registers", by.register_bytes());
        return err::nodev;
    }
    TRY(_answer.allocate(sizeof(read_answer)));
    write_address(reg::read_answer_low, _answer.place());
    return {};
}

void hardware::write_address(u32 where, u64 place) {
    write(where, static_cast<u32>(place));
    write(where + reg::high, static_cast<u32>(place >> 32));
}

result<u32> hardware::read(u32 where) {
    const u32 value = _machine->registers_can_be_read() ? _machine->read(where) : TRY(ask(where));
    if (value == reg::gone) {
        log_error("ena: register {:x} reads as if the device were gone", where);
        return err::nodev;
    }
    return value;
}

result<u32> hardware::ask(u32 where) {
    auto& answer = *_answer.as<read_answer>();
    const u16 request = ++_last_request;
    __atomic_store_n(&answer.number, static_cast<u16>(~request), __ATOMIC_RELAXED);
    write(reg::read_request, read_request(where, request));
    const bool came = poll_until(
        [&] { return __atomic_load_n(&answer.number, __ATOMIC_ACQUIRE) == request; }, longest_read);
    if (!came || __atomic_load_n(&answer.where, __ATOMIC_RELAXED) != where) {
        log_error("ena: register {:x} has not been read after {} ms", where,
                  longest_read / ns_per_ms);
        return err::timedout;
    }
    return __atomic_load_n(&answer.value, __ATOMIC_RELAXED);
}

u32 hardware::reset_command(reset_reason why) const {
    const u32 reason = static_cast<u32>(why);
    const u32 extended = _extended_reasons ? reason >> 4 << control::extended_reason_shift : 0;
    return control::reset | extended | (reason & 15) << control::reason_shift;
}

result<void> hardware::reset(reset_reason why) {
    const u32 state = TRY(read(reg::status));
    const capabilities stated{TRY(read(reg::capabilities))};
    if ((state & status::ready) == 0 || stated.reset_timeout() == 0) {
        log_error("ena: the device cannot be reset (status {:x}, capabilities {:x})", state,
                  stated.raw);
        return err::nodev;
    }
    write(reg::control, reset_command(why));
    // It has forgotten where registers are to be put.
    write_address(reg::read_answer_low, _answer.place());
    TRY(wait_for_reset(true, stated.reset_timeout()));
    write(reg::control, 0);
    TRY(wait_for_reset(false, stated.reset_timeout()));
    TRY(check_version());
    return take_capabilities(stated);
}

result<void> hardware::wait_for_reset(bool running, u32 timeout) {
    const u64 patience = u64{timeout} * timeout_unit_ms * ns_per_ms;
    auto state = result<u32>(0u);
    const bool reached = poll_until(
        [&] {
            state = read(reg::status);
            return !state.ok() || ((state.value() & status::in_reset) != 0) == running;
        },
        patience);
    if (!state.ok()) {
        return state.error();
    }
    if (!reached) {
        log_error("ena: the reset has not {} after {} ms (status {:x})",
                  running ? "begun" : "ended", patience / ns_per_ms, state.value());
        return err::timedout;
    }
    return {};
}

result<void> hardware::check_version() {
    const u32 version = TRY(read(reg::version)), controller = TRY(read(reg::controller_version));
    if ((controller & 0xff'ffff) < oldest_controller) {
        log_error("ena: a device of version {:x}, controller {:x}, is too old", version,
                  controller);
        return err::opnotsupp;
    }
    if ((TRY(read(reg::status)) & status::ready) == 0) {
        log_error("ena: the device is not ready after its reset");
        return err::nodev;
    }
    return {};
}

result<void> hardware::take_capabilities(capabilities stated) {
    const u32 bits = stated.address_bits();
    if (bits < fewest_address_bits || bits > most_address_bits) {
        log_error("ena: a device with addresses of {} bits", bits);
        return err::opnotsupp;
    }
    _reach = u64{1} << bits;
    const u32 units = stated.command_timeout();
    _command_patience =
        units == 0 ? usual_command_patience : u64{units} * timeout_unit_ms * ns_per_ms;
    return {};
}

}  // namespace kiln::ena
