// kernel only: ends the machine.
//
// What the program wrote reaches the host before the report of its end, and that before the power
// goes; so a reader that has seen the report has everything. Context: threads.
#include "init/ending.hh"

#include <algorithm>
#include <atomic>

#include "arch/x86_64/msr.hh"
#include "arch/x86_64/ports.hh"
#include "core/clock.hh"
#include "core/console.hh"
#include "core/log.hh"
#include "core/log_port.hh"
#include "drivers/devices.hh"
#include "fs/block_device.hh"
#include "linux/entry.hh"

namespace kiln {
namespace {

constinit std::atomic<exit_action> action_at_exit{exit_action::poweroff};
constinit std::atomic<u16> exit_port{0};

// One line of the control channel; without one, `spoken` on the serial console.
void report(std::string_view line, std::string_view spoken) {
    if (byte_port* control = the_console().control; control != nullptr) {
        static_cast<void>(control->write(std::as_bytes(std::span(line)), false));
        control->drain();
    } else {
        serial_put(spoken);
    }
}

void drain_streams() {
    for (byte_port* port : {the_console().standard_output, the_console().standard_error}) {
        if (port != nullptr) {
            port->drain();
        }
    }
    drain_log();
}

// A shell's status of the program. QEMU ends with twice that and one.
void tell_exit_port(int status, int signal) {
    if (const u16 port = exit_port.load(); port != 0) {
        out8(port, static_cast<u8>(signal != 0 ? 128 + signal : status));
    }
}

[[noreturn]] void end_machine(int status, int signal) {
    if (const result<void> flushed = flush_block_devices(); !flushed.ok()) {
        log_error("a disk did not take all that was written (error {})", flushed.error());
        drain_log();
    }
    tell_exit_port(status, signal);
    switch (action_at_exit.load()) {
        case exit_action::reboot:
            reboot();
        case exit_action::halt:
            for (;;) {
                disable_interrupts();
                asm volatile("hlt");
            }
        default:
            power_off();
    }
}

// JSON strings escape quotes, backslashes and control characters (RFC 8259, 7).
void put_json_string(text_sink& sink, std::string_view text) {
    sink.put("\"");
    for (const char byte : text) {
        if (byte == '"' || byte == '\\') {
            sink.put("\\");
            sink.put({&byte, 1});
        } else if (static_cast<u8>(byte) < 0x20) {
            format(sink, "\\u{:04x}", static_cast<u32>(byte));
        } else {
            sink.put({&byte, 1});
        }
    }
    sink.put("\"");
}

}  // namespace

void set_exit_action(exit_action action) {
    action_at_exit.store(action);
}

void set_exit_port(u16 port) {
    exit_port.store(port);
}

void refuse_to_start(std::string_view why) {
    log_error("{}", why);
    drain_streams();
    char line[1024];
    buffer_sink sink(line);
    sink.put("{\"event\":\"error\",\"message\":");
    put_json_string(sink, why);
    sink.put("}\n");
    report(sink.view(), "kiln: cannot start\n");
    power_off();
}

void report_started() {
    if (the_console().control == nullptr) {
        return;
    }
    char line[64];
    const usize size = format_to(line, "{{\"event\":\"started\",\"ns\":{}}\n", now());
    static_cast<void>(
        the_console().control->write(std::as_bytes(std::span(line, size)), false));
}

void process_exited(int status, int signal) {
    drain_streams();
    char line[128];
    char spoken[64];
    usize size;
    usize spoken_size;
    if (signal != 0) {
        size = format_to(line, "{{\"event\":\"signal\",\"signal\":{},\"core\":false}\n", signal);
        spoken_size = format_to(spoken, "kiln: killed by signal {}\n", signal);
    } else {
        size = format_to(line, "{{\"event\":\"exit\",\"status\":{}}\n", status);
        spoken_size = format_to(spoken, "kiln: exit status {}\n", status);
    }
    report({line, size}, {spoken, spoken_size});
    end_machine(status, signal);
}

}  // namespace kiln
