#include "drivers/e1000/rings.hh"

#include <algorithm>
#include <atomic>

#include "core/page.hh"
#include "drivers/mmio.hh"
#include "drivers/nic/segmentation.hh"
#include "net/net_device.hh"
#include "net/wire.hh"

namespace kiln::e1000 {
namespace {

using net::chunk;
using net::packet_buffer;
using segmentation = net::transmit_offload::segmentation;

constexpr usize shortest_frame = sizeof(net::ethernet_header);

// What was written to memory before is there before the register is written.
void tell(volatile u8* registers, u32 where, u32 value) {
    std::atomic_thread_fence(std::memory_order_release);
    mmio_write<u32>(registers, where, value);
}

usize pieces_of(usize length) {
    return (length + rings::largest_piece - 1) / rings::largest_piece;
}

usize descriptors_for(const packet_buffer& frame) {
    usize needed = pieces_of(frame.linear_size()) + (frame.offload.checksum ? 1 : 0);
    for (const net::fragment& part : frame.fragments()) {
        needed += pieces_of(part.length);
    }
    return needed;
}

}  // namespace

void rings::init(std::byte* memory, volatile u8* registers, u32 receive_causes, u32 sent_causes) {
    _receive = reinterpret_cast<receive_descriptor*>(memory);
    _transmit = reinterpret_cast<transmit_descriptor*>(memory + ring_bytes);
    _registers = registers;
    _receive_causes = receive_causes;
    _sent_causes = sent_causes;
}

void rings::program() {
    program_ring(reg::receive_base, _receive, _taken % entries);
    program_ring(reg::transmit_base, _transmit, _cleaned % entries);
}

void rings::program_ring(u32 base, const void* ring, u32 head) {
    const u64 place = virt_to_phys(ring);
    mmio_write<u32>(_registers, base + reg::ring_low, static_cast<u32>(place));
    mmio_write<u32>(_registers, base + reg::ring_high, static_cast<u32>(place >> 32));
    mmio_write<u32>(_registers, base + reg::ring_size, static_cast<u32>(ring_bytes));
    mmio_write<u32>(_registers, base + reg::ring_head, head);
    mmio_write<u32>(_registers, base + reg::ring_tail, head);
}

void rings::clear() {
    for (; _taken != _given; ++_taken) {
        _buffers[_taken % entries]->drop_reference();
        _buffers[_taken % entries] = nullptr;
    }
    while (_cleaned != _added) {
        const u32 first = _cleaned % entries;
        delete std::exchange(_frames[first], nullptr);
        _cleaned = _last_of[first] + 1;
    }
    __builtin_memset(static_cast<void*>(_receive), 0, ring_bytes);
    __builtin_memset(static_cast<void*>(_transmit), 0, ring_bytes);
    _taken = _given = _added = _told = _cleaned = 0;
    _inside_frame = false;
    _context = 0;
}

bool rings::has_received() const {
    return _taken != _given &&
           (__atomic_load_n(&_receive[_taken % entries].status, __ATOMIC_ACQUIRE) &
            receive_status::done) != 0;
}

nic::received rings::take(net::packet_ptr& frame) {
    if (!has_received()) {
        return nic::received::none;
    }
    const u32 place = _taken++ % entries;
    // Read once: the device may go on writing.
    const u64 written = __atomic_load_n(reinterpret_cast<u64*>(&_receive[place].length),
                                        __ATOMIC_RELAXED);
    receive_descriptor done{};
    __builtin_memcpy(&done.length, &written, sizeof(written));
    return judge(done, ref<chunk>::adopt(std::exchange(_buffers[place], nullptr)), frame);
}

nic::received rings::judge(const receive_descriptor& done, ref<chunk> buffer,
                           net::packet_ptr& frame) {
    if (done.length > buffer->capacity()) {
        return nic::received::broken;
    }
    const bool ends = (done.status & receive_status::end) != 0;
    const bool is_part = _inside_frame || !ends;
    _inside_frame = !ends;
    if (is_part || (done.errors & receive_error::frame) != 0 || done.length < shortest_frame) {
        return nic::received::dropped;
    }
    auto made = packet_buffer::make_received(std::move(buffer), 0, done.length);
    if (!made.ok()) {
        return nic::received::dropped;
    }
    frame = made.take();
    const u8 checked = done.status & (receive_status::ignore_checksums |
                                      receive_status::transport_checked);
    frame->checksum_valid = checked == receive_status::transport_checked &&
                            (done.errors & receive_error::transport_checksum) == 0;
    return nic::received::frame;
}

bool rings::give_buffer() {
    auto made = chunk::allocate_for_receive();
    if (!made.ok()) {
        return false;
    }
    const u32 place = _given++ % entries;
    _buffers[place] = made.take().leak();
    _receive[place] = {virt_to_phys(_buffers[place]->data()), 0, 0, 0, 0, 0};
    return true;
}

// One place stays empty: a tail that meets the head means that the device has none.
bool rings::refill() {
    const u32 missing = entries - 1 - (_given - _taken);
    if (missing < refill_step) {
        return true;
    }
    u32 given = 0;
    while (given < missing && give_buffer()) {
        ++given;
    }
    if (given != 0) {
        tell(_registers, reg::receive_base + reg::ring_tail, _given % entries);
    }
    return given == missing;
}

void rings::put_context(const packet_buffer& frame) {
    const net::transmit_offload& asked = frame.offload;
    const bool segments = asked.kind != segmentation::none;
    constexpr u64 ip_start = sizeof(net::ethernet_header);
    const u64 field = u64{asked.checksum_start} + asked.checksum_offset;
    const u64 sums = ip_start | (ip_start + offsetof(net::ipv4_header, checksum)) << 8 |
                     u64{asked.checksum_start - 1u} << 16 | u64{asked.checksum_start} << 32 |
                     field << 40;
    const bool tcp = asked.checksum_offset == offsetof(net::tcp_header, checksum);
    u32 command = transmit_command::extended | (tcp ? transmit_command::tcp : 0);
    u32 options = 0;
    if (segments) {
        command |= transmit_command::segment |
                   (asked.kind == segmentation::tcp4 ? transmit_command::ipv4 : 0) |
                   static_cast<u32>(frame.size() - asked.header_size);
        options = u32{asked.header_size} << 8 | u32{asked.segment_size} << 16;
    } else if (sums == _context && command == _context_command) {
        return;
    }
    _context = segments ? 0 : sums;
    _context_command = command;
    next_transmit() = {sums, command, options};
}

void rings::put_piece(const std::byte* bytes, usize length, u32 command, u32 options) {
    for (usize done = 0; done < length; done += largest_piece) {
        const u32 size = static_cast<u32>(std::min<usize>(length - done, largest_piece));
        next_transmit() = {virt_to_phys(bytes + done), command | size, options};
    }
}

nic::placed rings::put(packet_buffer& frame) {
    const usize needed = descriptors_for(frame);
    if (needed == 0 || needed > entries - 1) {
        return nic::placed::refused;
    }
    if (needed > entries - 1 - (_added - _cleaned)) {
        return nic::placed::no_room;
    }
    const net::transmit_offload& asked = frame.offload;
    const bool segments = asked.kind != segmentation::none;
    if (segments && !nic::prepare_segmentation(frame)) {
        return nic::placed::refused;
    }
    const u32 first = _added % entries;
    if (asked.checksum) {
        put_context(frame);
    }
    const u32 command = transmit_command::data | transmit_command::extended |
                        transmit_command::insert_crc | (segments ? transmit_command::segment : 0);
    const u32 options =
        (asked.checksum ? transmit_option::transport_checksum : 0) |
        (asked.kind == segmentation::tcp4 ? transmit_option::ip_checksum : 0);
    put_piece(frame.data(), frame.linear_size(), command, options);
    for (const net::fragment& part : frame.fragments()) {
        put_piece(part.data, part.length, command, options);
    }
    _last_of[first] = _added - 1;
    _transmit[(_added - 1) % entries].command |= transmit_command::end | transmit_command::report;
    _frames[first] = &frame;
    return nic::placed::on_ring;
}

bool rings::has_sent() const {
    if (_cleaned == _added) {
        return false;
    }
    const u32 last = _last_of[_cleaned % entries] % entries;
    return (__atomic_load_n(&_transmit[last].options, __ATOMIC_ACQUIRE) &
            transmit_option::done) != 0;
}

bool rings::reap(net::packet_queue& sent) {
    while (has_sent()) {
        const u32 first = _cleaned % entries;
        sent.push_back(net::packet_ptr(std::exchange(_frames[first], nullptr)));
        _cleaned = _last_of[first] + 1;
    }
    return true;
}

void rings::tell_device() {
    if (_told != _added) {
        _told = _added;
        tell(_registers, reg::transmit_base + reg::ring_tail, _added % entries);
    }
}

void rings::allow_interrupts(bool sent) {
    mmio_write<u32>(_registers, reg::interrupt_mask_set,
                    _receive_causes | (sent ? _sent_causes : 0));
}

}  // namespace kiln::e1000
