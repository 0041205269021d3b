#include "fs/console_file.hh"

#include <algorithm>

#include "fs/fd_table.hh"
#include "fs/special_files.hh"
#include "fs/stat.hh"
#include "lib/format.hh"

namespace kiln {
namespace {

constexpr usize piece_size = 1024;
constexpr u64 pipe_device = make_device(0, 14);
constexpr u64 console_device = make_device(5, 1);

// TCGETS … of include/uapi/asm-generic/ioctls.h.
namespace terminal_call {
constexpr u32 get_attributes = 0x5401, set_attributes = 0x5402, set_attributes_drain = 0x5403,
              set_attributes_flush = 0x5404, flush = 0x540b, get_window = 0x5413,
              set_window = 0x5414, bytes_available = 0x541b;
}

// struct termios of the kernel's ABI.
struct terminal_attributes {
    u32 input, output, control, local;
    u8 line;
    u8 characters[19];
};
static_assert(sizeof(terminal_attributes) == 36);

struct window_size {
    u16 rows, columns, width, height;
};

// One terminal; its attributes are remembered but nothing is edited.
struct terminal_state {
    spinlock lock;
    // ICRNL|IXON, OPOST|ONLCR, B38400|CS8|CREAD, ISIG|ICANON|ECHO|ECHOE|ECHOK|ECHOCTL|ECHOKE|IEXTEN
    terminal_attributes attributes{
        0x500, 0x5, 0xbf, 0x8a3b, 0, {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22}};
    window_size window{24, 80, 0, 0};
};
constinit terminal_state terminal;

template <class T>
result<i64> get_state(const T& from, u64 to) {
    T copy;
    {
        lock_guard guard(terminal.lock);
        copy = from;
    }
    TRY(user_ptr<T>(to).write(copy));
    return 0;
}

template <class T>
result<i64> set_state(T& to, u64 from) {
    const T copy = TRY(user_ptr<T>(from).read());
    lock_guard guard(terminal.lock);
    to = copy;
    return 0;
}

}  // namespace

bool console_file::is_terminal() const {
    return (_input != nullptr && _input->is_terminal()) ||
           (_output != nullptr && _output->is_terminal());
}

result<usize> console_file::read(io_vector& to, u64&) {
    if (_input == nullptr || to.remaining() == 0) {
        return usize{0};
    }
    std::byte bytes[piece_size];
    result<usize> count =
        _input->read({bytes, std::min(to.remaining(), piece_size)}, nonblocking());
    if (!count.ok()) {
        return count.error() == err::intr ? err::restart_sys : count.error();
    }
    return count.value() == 0 ? result<usize>(usize{0}) : to.put(bytes, count.value());
}

result<usize> console_file::write(io_vector& from, u64&) {
    if (_output == nullptr) {
        return err::io;
    }
    usize done = 0;
    while (from.remaining() != 0) {
        std::byte bytes[piece_size];
        result<usize> taken = from.take(bytes, std::min(from.remaining(), piece_size));
        if (!taken.ok()) {
            return done != 0 ? result<usize>(done) : taken.error();
        }
        result<usize> written = _output->write({bytes, taken.value()}, nonblocking());
        if (!written.ok()) {
            const err why = written.error() == err::intr ? err::restart_sys : written.error();
            return done != 0 ? result<usize>(done) : why;
        }
        done += written.value();
        if (written.value() < taken.value()) {
            break;
        }
    }
    return done;
}

u32 console_file::poll_events() {
    constexpr u32 reading =
        poll_event::in | poll_event::rdnorm | poll_event::hangup | poll_event::rdhup;
    constexpr u32 writing = poll_event::out | poll_event::wrnorm | poll_event::error;
    u32 events = 0;
    if (_input != nullptr && readable()) {
        events |= _input->poll_events() & reading;
    }
    if (_output != nullptr && writable()) {
        events |= _output->poll_events() & writing;
    }
    return events;
}

wait_queue* console_file::poll_queue() {
    byte_port* const port = _input != nullptr && readable() ? _input : _output;
    return port != nullptr ? &port->poll_queue() : nullptr;
}

result<i64> console_file::ioctl(u32 command, u64 argument) {
    if (!is_terminal()) {
        return err::notty;
    }
    switch (command) {
        case terminal_call::get_attributes: return get_state(terminal.attributes, argument);
        case terminal_call::set_attributes:
        case terminal_call::set_attributes_drain:
        case terminal_call::set_attributes_flush: return set_state(terminal.attributes, argument);
        case terminal_call::get_window: return get_state(terminal.window, argument);
        case terminal_call::set_window: return set_state(terminal.window, argument);
        case terminal_call::flush: return 0;
        case terminal_call::bytes_available: {
            const bool some = _input != nullptr && (_input->poll_events() & poll_event::in) != 0;
            TRY(user_ptr<i32>(argument).write(some ? 1 : 0));
            return 0;
        }
        default: return err::notty;
    }
}

result<void> console_file::status(file_status& to) {
    to = {};
    to.inode_number = _number;
    const timestamp now = timestamp_now();
    to.accessed = to.modified = to.changed = now;
    if (is_terminal()) {
        to.device = make_device(0, 5);
        to.mode = mode_bit::character | 0620;
        to.special_device = console_device;
        to.block_size = 1024;
    } else {
        to.device = pipe_device;
        to.mode = mode_bit::fifo | 0600;
    }
    return {};
}

result<usize> console_file::describe(std::span<char> to) {
    return is_terminal() ? format_to(to, "/dev/console") : format_to(to, "pipe:[{}]", _number);
}

result<ref<file>> open_console(u32 flags) {
    console_ports& ports = the_console();
    return TRY(make_ref<console_file>(ports.standard_input, ports.standard_output, flags, 3));
}

result<ref<file>> open_controlling_terminal(u32 flags) {
    const console_ports& ports = the_console();
    const bool there_is_one =
        (ports.standard_input != nullptr && ports.standard_input->is_terminal()) ||
        (ports.standard_output != nullptr && ports.standard_output->is_terminal());
    return there_is_one ? open_console(flags) : err::nxio;
}

result<void> open_standard_streams() {
    console_ports& ports = the_console();
    const bool terminal_like =
        ports.standard_input != nullptr && ports.standard_input->is_terminal();
    const u32 in = terminal_like ? open_flag::rdwr : open_flag::rdonly;
    const u32 out = terminal_like ? open_flag::rdwr : open_flag::wronly;
    ref<file> input = TRY(make_ref<console_file>(
        ports.standard_input, terminal_like ? ports.standard_output : nullptr, in, 10));
    ref<file> output = TRY(make_ref<console_file>(terminal_like ? ports.standard_input : nullptr,
                                                  ports.standard_output, out, 11));
    ref<file> error = TRY(make_ref<console_file>(terminal_like ? ports.standard_input : nullptr,
                                                 ports.standard_error, out, 12));
    TRY(descriptors::install_at(0, std::move(input), false));
    TRY(descriptors::install_at(1, std::move(output), false));
    return descriptors::install_at(2, std::move(error), false);
}

}  // namespace kiln
