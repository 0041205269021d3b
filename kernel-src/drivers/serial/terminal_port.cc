#include "drivers/serial/terminal_port.hh"

#include "fs/file.hh"

namespace kiln {
namespace {

constexpr char end_of_transmission = 4, backspace = 8, kill_line = 21, rubout = 127;

}  // namespace

void terminal_port::take_byte(char byte) {
    switch (byte) {
        case '\r':
        case '\n':
            keep('\n');
            end_line();
            break;
        case backspace:
        case rubout:
            erase();
            break;
        case kill_line:
            while (_written != _committed) {
                erase();
            }
            break;
        case end_of_transmission:
            _end_of_file = _end_of_file || _written == _committed;
            end_line();
            break;
        default:
            keep(byte);
            break;
    }
}

void terminal_port::keep(char byte) {
    // The last place is kept for the newline that ends the line.
    const u64 limit = byte == '\n' ? input_size : input_size - 1;
    if (_written - _read < limit) {
        _input[_written++ % input_size] = byte;
        _echo({&byte, 1});
    }
}

void terminal_port::erase() {
    if (_written != _committed) {
        --_written;
        _echo("\b \b");
    }
}

void terminal_port::end_line() {
    _committed = _written;
}

bool terminal_port::readable() {
    irq_guard guard(_lock);
    return _read != _committed || _end_of_file;
}

// One line at the most, as terminals do.
usize terminal_port::copy_line(std::span<std::byte> into, bool& end_of_file) {
    irq_guard guard(_lock);
    usize copied = 0;
    while (copied < into.size() && _read != _committed) {
        const char byte = _input[_read++ % input_size];
        into[copied++] = static_cast<std::byte>(byte);
        if (byte == '\n') {
            break;
        }
    }
    end_of_file = copied == 0 && _end_of_file;
    _end_of_file = _end_of_file && !end_of_file;
    return copied;
}

result<usize> terminal_port::read(std::span<std::byte> into, bool nonblocking) {
    for (;;) {
        bool end_of_file = false;
        const usize copied = copy_line(into, end_of_file);
        if (copied != 0 || end_of_file || into.empty()) {
            return copied;
        }
        if (nonblocking) {
            return err::again;
        }
        TRY(wait_until(_changed, [this] { return readable(); }));
    }
}

u32 terminal_port::poll_events() {
    const u32 input = readable() ? poll_event::in | poll_event::rdnorm : 0;
    return input | poll_event::out | poll_event::wrnorm;
}

void terminal_port::tell_of_input() {
    _changed.wake_all(poll_event::in | poll_event::rdnorm);
}

}  // namespace kiln
