// kernel only
#include "drivers/virtio/console_port.hh"

#include <algorithm>
#include <bit>

#include "core/page.hh"
#include "fs/file.hh"

namespace kiln::virtio {

result<void> console_port::attach(u32 receive_pages, u32 transmit_pages) {
    const u32 usable = std::min({u32{queue_entries}, u32{_transmit.size()}, transmit_pages});
    for (u32 i = 0; i < usable; ++i) {
        page* memory = TRY(alloc_page());
        _transmit_buffers[i].data = static_cast<std::byte*>(page_data(*memory));
    }
    const u32 offered = std::min({u32{queue_entries}, u32{_receive.size()}, receive_pages});
    for (u32 i = 0; i < offered; ++i) {
        page* memory = TRY(alloc_page());
        _receive_buffers[i].data = static_cast<std::byte*>(page_data(*memory));
    }
    irq_guard guard(_lock);
    _transmit_free = (1u << usable) - 1;
    _transmit.disable_interrupts();
    for (buffer& each : _receive_buffers) {
        if (each.data != nullptr) {
            offer(each);
        }
    }
    if (_receive.publish()) {
        _receive_doorbell.ring();
    }
    _writable = usable != 0;
    _attached = true;
    return {};
}

void console_port::offer(buffer& empty) {
    const segment into{dma_address(empty.data), page_size, true};
    // There are no more buffers than descriptors, so this fails only on a broken queue.
    (void)_receive.add({&into, 1}, &empty);
}

void console_port::on_interrupt() {
    u32 news = 0;
    {
        irq_guard guard(_lock);
        if (_attached) {
            news |= _receive.has_finished() ? poll_event::in | poll_event::rdnorm : 0;
            news |= _transmit.has_finished() ? poll_event::out | poll_event::wrnorm : 0;
        }
    }
    if (news != 0) {
        _changed.wake_all(news);
    }
}

void console_port::set_host_open(bool open) {
    {
        irq_guard guard(_lock);
        _host_open = open;
    }
    _changed.wake_all(poll_event::in | poll_event::rdnorm | poll_event::hangup | poll_event::out |
                      poll_event::wrnorm);
}

// Makes _current a buffer with bytes, if there is one.
bool console_port::take_received() {
    queue::completion done;
    while (_current == nullptr && _receive.take(done)) {
        auto* arrived = static_cast<buffer*>(done.token);
        arrived->size = std::min<u32>(done.length, page_size);
        arrived->taken = 0;
        if (arrived->size == 0) {
            offer(*arrived);
            continue;
        }
        _current = arrived;
    }
    return _current != nullptr;
}

usize console_port::copy_received(std::span<std::byte> into) {
    irq_guard guard(_lock);
    usize copied = 0;
    while (copied < into.size() && take_received()) {
        const usize piece = std::min<usize>(into.size() - copied, _current->size - _current->taken);
        __builtin_memcpy(into.data() + copied, _current->data + _current->taken, piece);
        copied += piece;
        _current->taken += static_cast<u32>(piece);
        if (_current->taken == _current->size) {
            offer(*_current);
            _current = nullptr;
        }
    }
    if (_receive.publish()) {
        _receive_doorbell.ring();
    }
    return copied;
}

bool console_port::readable() {
    irq_guard guard(_lock);
    return take_received();
}

bool console_port::readable_or_closed() {
    irq_guard guard(_lock);
    return take_received() || !_host_open;
}

result<usize> console_port::read(std::span<std::byte> into, bool nonblocking) {
    for (;;) {
        // Looked at before the bytes: the host sends all of them before it says that it has closed.
        bool open;
        {
            irq_guard guard(_lock);
            open = _host_open;
        }
        const usize copied = copy_received(into);
        if (copied != 0 || !open || into.empty()) {
            return copied;
        }
        if (nonblocking) {
            return err::again;
        }
        TRY(wait_until(_changed, [this] { return readable_or_closed(); }));
    }
}

void console_port::reap_transmitted() {
    queue::completion done;
    while (_transmit.take(done)) {
        _transmit_free |= 1u << (static_cast<buffer*>(done.token) - _transmit_buffers);
    }
}

console_port::buffer* console_port::free_transmit_buffer() {
    if (_transmit_free == 0) {
        reap_transmitted();
    }
    return _transmit_free == 0 ? nullptr : &_transmit_buffers[std::countr_zero(_transmit_free)];
}

usize console_port::send_some(std::span<const std::byte> from) {
    irq_guard guard(_lock);
    usize sent = 0;
    while (sent < from.size()) {
        buffer* filled = free_transmit_buffer();
        if (filled == nullptr) {
            break;
        }
        const usize piece = std::min<usize>(from.size() - sent, page_size);
        __builtin_memcpy(filled->data, from.data() + sent, piece);
        const segment part{dma_address(filled->data), static_cast<u32>(piece), false};
        if (!_transmit.add({&part, 1}, filled).ok()) {
            break;
        }
        _transmit_free &= ~(1u << (filled - _transmit_buffers));
        sent += piece;
    }
    if (_transmit.publish()) {
        _transmit_doorbell.ring();
    }
    return sent;
}

// Whether there is room; if not, there will be an interrupt when there is.
bool console_port::can_send() {
    irq_guard guard(_lock);
    if (free_transmit_buffer() != nullptr) {
        return true;
    }
    const bool already = _transmit.enable_interrupts();
    if (already) {
        reap_transmitted();
    }
    return already;
}

bool console_port::all_sent() {
    irq_guard guard(_lock);
    reap_transmitted();
    if (_transmit.in_flight() != 0 && _transmit.enable_interrupts()) {
        reap_transmitted();
    }
    return _transmit.in_flight() == 0 || _transmit.broken();
}

result<usize> console_port::write(std::span<const std::byte> from, bool nonblocking) {
    if (!_writable) {
        return err::io;
    }
    usize sent = 0;
    for (;;) {
        sent += send_some(from.subspan(sent));
        if (sent == from.size()) {
            return sent;
        }
        if (nonblocking) {
            return sent != 0 ? result<usize>(sent) : err::again;
        }
        auto outcome = wait_until(_changed, [this] { return can_send() || _transmit.broken(); });
        if (_transmit.broken()) {
            return err::io;
        }
        if (!outcome.ok()) {
            return sent != 0 ? result<usize>(sent) : outcome.error();
        }
    }
}

u32 console_port::poll_events() {
    u32 events = can_send() ? poll_event::out | poll_event::wrnorm : 0;
    bool open;
    {
        irq_guard guard(_lock);
        open = _host_open;
    }
    if (readable()) {
        events |= poll_event::in | poll_event::rdnorm;
    } else if (!open) {
        events |= poll_event::hangup;
    }
    return events;
}

void console_port::drain() {
    (void)wait_until(_changed, [this] { return all_sent(); }, never, wait_mode::uninterruptible);
}

}  // namespace kiln::virtio
