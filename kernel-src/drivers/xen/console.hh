// The console that Xen's tools give a guest (`xl console`): two rings of bytes in a page and an event
// channel (Xen public io/console.h). Where there is no serial port, as under PVH, the kernel's early
// lines, panics and the program's streams go here.
//
// Output of the kernel itself is polled, since it may come from any context: `_output_busy` keeps CPUs
// apart, but whoever does not get it in time goes ahead, so that a panic is never held up; a ring whose
// counters have become impossible by that is given up with the bytes. The program's output sleeps until
// there is room. Lock order: `_lock` (terminal_port) before `_output_busy`.
#pragma once

#include "drivers/serial/terminal_port.hh"
#include "drivers/xen/byte_ring.hh"

namespace kiln::xen {

// struct xencons_interface.
struct console_page {
    static constexpr u32 input_size = 1024, output_size = 2048;

    char input[input_size];
    char output[output_size];
    std::atomic<u32> input_consumed, input_produced;
    std::atomic<u32> output_consumed, output_produced;
};

// Polled output to the console that console_init found.
void put_on_console(std::string_view text);

class ring_console final : public terminal_port {
public:
    constexpr explicit ring_console(echo_function echo = &put_on_console) : terminal_port(echo) {}

    // From now on output goes to the page; `port` is told.
    void use(console_page& page, u32 port);
    bool works() const { return _page != nullptr; }
    // How often the kernel's own output looks for room that the host does not make.
    void set_patience(u32 polls) { _patience = polls; }
    // From now on input is taken. After event_channel::start.
    result<void> start_input();

    // Polled, a newline as carriage return and newline. Context: any.
    void put(std::string_view text);
    // Waits, not for long, until the host has taken everything. Context: any.
    void finish();

    result<usize> write(std::span<const std::byte> from, bool nonblocking) override;
    u32 poll_events() override;
    void drain() override;

private:
    static void on_event(void* self);

    byte_ring<console_page::output_size> output() const;
    bool take_input();
    bool has_room() const;
    bool is_empty() const;
    usize put_some(std::string_view text);
    void put_all(std::string_view text);
    void notify_host();

    console_page* _page = nullptr;
    u32 _port = 0;
    // The host's daemon looks a few times a second when much is written; each look lets the host run.
    u32 _patience = 1'000'000;
    std::atomic<bool> _output_busy{false};
    bool _late = false;  // the host took nothing when last waited for
};

// Finds the console. On Xen; once, with page tables of the kernel's own.
void console_init();
// Takes input, and gives the streams that no port took to this console.
void fill_console();
void finish_console();

}  // namespace kiln::xen
