// Where the program's standard streams and the kernel's lines go. A stream is a virtio-serial port
// when the host gave us one, else the serial console.
#pragma once

#include <span>
#include <string_view>

#include "core/wait_queue.hh"
#include "lib/result.hh"

namespace kiln {

// A byte stream to the host. Context: threads.
class byte_port : noncopyable {
public:
    virtual ~byte_port() = default;
    // Bytes available now (at least one), blocking until there are some; 0: the host closed its side
    // and all was read. err::again when `nonblocking` and there are none, err::intr when interrupted.
    virtual result<usize> read(std::span<std::byte> into, bool nonblocking) = 0;
    // Writes all, blocking, or what fits when `nonblocking`.
    virtual result<usize> write(std::span<const std::byte> from, bool nonblocking) = 0;
    // poll bits that hold now, and the queue woken when they change.
    virtual u32 poll_events() = 0;
    virtual wait_queue& poll_queue() = 0;
    // Whether a program should see a terminal (the plain serial console) or a pipe.
    virtual bool is_terminal() const = 0;
    // Blocks until everything written has reached the host.
    virtual void drain() = 0;
};

// Filled in at boot by the drivers. Never null after console_ready: without ports all three streams
// are the serial console.
struct console_ports {
    byte_port* standard_input = nullptr;
    byte_port* standard_output = nullptr;
    byte_port* standard_error = nullptr;
    byte_port* log = nullptr;      // null: lines go to the serial console
    byte_port* control = nullptr;  // null: exit status is said on the serial console
};
console_ports& the_console();

// Polled output to the first serial port, for the earliest boot and for panics. Takes no locks. Where
// there is no such port, it goes to what was set last.
void serial_put(std::string_view text);
void set_other_output(void (*put)(std::string_view text));

}  // namespace kiln
