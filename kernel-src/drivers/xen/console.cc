#include "drivers/xen/console.hh"

#include <algorithm>

#include "core/log.hh"
#include "drivers/xen/event_channel.hh"
#include "drivers/xen/hypercall.hh"
#include "drivers/xen/platform.hh"
#include "fs/file.hh"
#include "lib/forever.hh"

namespace kiln::xen {
namespace {

constexpr u32 most_tries = 1'000'000;
constexpr u64 longest_drain = 2 * ns_per_s;

constinit forever<ring_console> console;

result<void> open() {
    const u64 frame = TRY(read_param(hvm_param::console_frame));
    const u64 port = TRY(read_param(hvm_param::console_port));
    if (frame == 0 || port == 0 || port >= ports_of_two_levels) {
        return err::nodev;
    }
    console->use(*static_cast<console_page*>(TRY(map_frame(frame))), static_cast<u32>(port));
    set_other_output(&put_on_console);
    return {};
}

}  // namespace

void put_on_console(std::string_view text) {
    console->put(text);
}

byte_ring<console_page::output_size> ring_console::output() const {
    return {_page->output, _page->output_consumed, _page->output_produced};
}

void ring_console::use(console_page& page, u32 port) {
    _port = port;
    _page = &page;
}

result<void> ring_console::start_input() {
    return event_channel::attach(_port, &on_event, this, 0);
}

void ring_console::notify_host() {
    event_channel::notify(_port);
}

bool ring_console::has_room() const {
    const result<u32> filled = output().filled();
    return !filled.ok() || filled.value() < console_page::output_size;
}

bool ring_console::is_empty() const {
    const result<u32> filled = output().filled();
    return !filled.ok() || filled.value() == 0;
}

// What fits now. Bytes for a ring that cannot be used count as written.
usize ring_console::put_some(std::string_view text) {
    const u64 saved = interrupts_save_and_disable();
    bool mine = false;
    for (u32 tries = 0; !mine && tries < most_tries; ++tries) {
        mine = !_output_busy.exchange(true, std::memory_order_acquire);
        if (!mine) {
            cpu_relax();
        }
    }
    const usize written = output().put(text).value_or(text.size());
    if (mine) {
        _output_busy.store(false, std::memory_order_release);
    }
    interrupts_restore(saved);
    return written;
}

void ring_console::put_all(std::string_view text) {
    const u32 limit = _late ? 1 : _patience;
    for (u32 polls = 0; !text.empty(); ++polls) {
        const usize written = put_some(text);
        text.remove_prefix(written);
        if (written != 0) {
            polls = 0;
            _late = false;
        } else if (polls >= limit) {
            _late = true;
            return;
        } else {
            notify_host();
            give_way();
        }
    }
}

void ring_console::put(std::string_view text) {
    if (_page == nullptr) {
        return;
    }
    while (!text.empty()) {
        const usize line = std::min(text.find('\n'), text.size());
        put_all(text.substr(0, line));
        if (line < text.size()) {
            put_all("\r\n");
        }
        text.remove_prefix(std::min(line + 1, text.size()));
    }
    notify_host();
}

void ring_console::finish() {
    const u32 limit = _late ? 1 : _patience;
    for (u32 polls = 0; _page != nullptr && !is_empty() && polls < limit; ++polls) {
        give_way();
    }
}

result<usize> ring_console::write(std::span<const std::byte> from, bool nonblocking) {
    std::string_view left(reinterpret_cast<const char*>(from.data()), from.size());
    while (!left.empty()) {
        // A line's end at once or not at all.
        const usize line = std::min(left.find('\n'), left.size());
        const usize written = line == 0 ? put_some("\r\n") / 2 : put_some(left.substr(0, line));
        left.remove_prefix(written);
        if (written != 0) {
            continue;
        }
        notify_host();
        if (nonblocking) {
            break;
        }
        const result<void> waited = wait_until(_changed, [this] { return has_room(); });
        if (!waited.ok()) {
            return left.size() < from.size() ? result<usize>(from.size() - left.size())
                                             : waited.error();
        }
    }
    notify_host();
    return left.size() == from.size() && nonblocking ? result<usize>(err::again)
                                                     : from.size() - left.size();
}

u32 ring_console::poll_events() {
    constexpr u32 writable = poll_event::out | poll_event::wrnorm;
    const u32 events = terminal_port::poll_events();
    return has_room() ? events : events & ~writable;
}

void ring_console::drain() {
    static_cast<void>(wait_until(
        _changed, [this] { return is_empty(); }, deadline_after(longest_drain),
        wait_mode::uninterruptible));
}

// Whether there was some. Bounded: what the host writes later it announces anew.
bool ring_console::take_input() {
    byte_ring<console_page::input_size> input{_page->input, _page->input_consumed,
                                              _page->input_produced};
    char bytes[64];
    usize taken = 0;
    irq_guard guard(_lock);
    while (taken < console_page::input_size) {
        const usize size = input.take(bytes).value_or(0);
        if (size == 0) {
            break;
        }
        for (usize i = 0; i < size; ++i) {
            take_byte(bytes[i]);
        }
        taken += size;
    }
    return taken != 0;
}

// The host has written, or has read and made room.
void ring_console::on_event(void* argument) {
    auto& self = *static_cast<ring_console*>(argument);
    if (self.take_input()) {
        self.notify_host();
    }
    self._changed.wake_all();
}

void console_init() {
    if (on_xen()) {
        static_cast<void>(open());
    }
}

void fill_console() {
    if (!console->works()) {
        return;
    }
    console_ports& ports = the_console();
    for (byte_port** role :
         {&ports.standard_input, &ports.standard_output, &ports.standard_error}) {
        *role = *role == nullptr ? &*console : *role;
    }
    if (!console->start_input().ok()) {
        log_warning("xen: the console's events cannot be taken");
    }
}

void finish_console() {
    console->finish();
}

}  // namespace kiln::xen
