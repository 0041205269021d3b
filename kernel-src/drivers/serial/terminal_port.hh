// A console that is a terminal: input by lines, with the usual editing (echo, erase by backspace, kill
// by ^U, end of file by ^D at the start of a line, carriage return as newline). What a line comes from
// and where output goes is the deriving class's.
//
// Lock: `_lock`, taken by interrupt handlers; the echo is written under it (a byte or three).
#pragma once

#include "core/console.hh"
#include "core/spinlock.hh"

namespace kiln {

class terminal_port : public byte_port {
public:
    result<usize> read(std::span<std::byte> into, bool nonblocking) override;
    u32 poll_events() override;
    wait_queue& poll_queue() override { return _changed; }
    bool is_terminal() const override { return true; }

protected:
    using echo_function = void (*)(std::string_view);

    constexpr explicit terminal_port(echo_function echo) : _echo(echo) {}

    // With `_lock` held.
    void take_byte(char byte);
    // Without it: whoever waits for input looks again.
    void tell_of_input();

    irq_spinlock _lock;
    wait_queue _changed;

private:
    static constexpr usize input_size = 4096;

    void erase();
    void keep(char byte);
    void end_line();
    bool readable();
    usize copy_line(std::span<std::byte> into, bool& end_of_file);

    echo_function _echo;
    char _input[input_size]{};  // a ring: [_read, _committed) may be read, [.., _written) is edited
    u64 _read = 0;
    u64 _committed = 0;
    u64 _written = 0;
    bool _end_of_file = false;  // ^D: after what is committed
};

}  // namespace kiln
