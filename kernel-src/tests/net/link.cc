#include "tests/net/link.hh"

#include <cstring>

#include "net/checksum.hh"
#include "net/wire.hh"

namespace kiln::net::test {
namespace {

std::vector<u8> flatten(const packet_buffer& packet) {
    std::vector<u8> bytes(packet.size());
    packet.copy_out(0, bytes.data(), bytes.size());
    return bytes;
}

std::span<const std::byte> bytes_of(const std::vector<u8>& frame, usize from, usize size) {
    return {reinterpret_cast<const std::byte*>(frame.data()) + from, size};
}

// Adds up what the driver would let the device add up: the field already holds the pseudo header.
void finish_checksum(std::vector<u8>& frame, usize start, usize field) {
    const u16 sum = checksum_finish(checksum_add(0, bytes_of(frame, start, frame.size() - start)));
    store<u16>(frame.data() + start + field, sum);
}

// Cuts a large TCP packet over IPv4 or IPv6 into segments, as a device does.
std::vector<std::vector<u8>> segment(const std::vector<u8>& frame, const transmit_offload& offload) {
    std::vector<std::vector<u8>> parts;
    const usize headers = offload.header_size;
    const usize ip = sizeof(ethernet_header);
    const bool v4 = offload.kind == transmit_offload::segmentation::tcp4;
    const u32 total = static_cast<u32>(frame.size() - offload.checksum_start);
    for (usize at = headers; at < frame.size(); at += offload.segment_size) {
        const usize size = std::min<usize>(offload.segment_size, frame.size() - at);
        std::vector<u8> part(frame.begin(), frame.begin() + static_cast<long>(headers));
        part.insert(part.end(), frame.begin() + static_cast<long>(at),
                    frame.begin() + static_cast<long>(at + size));
        auto* tcp = reinterpret_cast<tcp_header*>(part.data() + offload.checksum_start);
        tcp->sequence = tcp->sequence + static_cast<u32>(at - headers);
        if (at + size < frame.size()) {
            tcp->flags &= static_cast<u8>(~(tcp_header::fin | tcp_header::psh));
        }
        if (v4) {
            auto* header = reinterpret_cast<ipv4_header*>(part.data() + ip);
            header->total_size = static_cast<u16>(part.size() - ip);
            header->checksum = 0;
            header->checksum = checksum_finish(checksum_add(0, bytes_of(part, ip, 20)));
        } else {
            auto* header = reinterpret_cast<ipv6_header*>(part.data() + ip);
            header->payload_size = static_cast<u16>(part.size() - ip - 40);
        }
        // The pseudo header's length was that of the whole.
        const u32 length = static_cast<u32>(part.size() - offload.checksum_start);
        u32 sum = tcp->checksum;
        sum += static_cast<u16>(~byteswap(static_cast<u16>(total)));
        sum += byteswap(static_cast<u16>(length));
        tcp->checksum = checksum_fold(sum);
        finish_checksum(part, offload.checksum_start, offload.checksum_offset);
        parts.push_back(std::move(part));
    }
    return parts;
}

}  // namespace

void wire_card::transmit(packet_ptr frame, bool) {
    std::vector<u8> flat = flatten(*frame);
    const transmit_offload& offload = frame->offload;
    if (offload.kind != transmit_offload::segmentation::none) {
        ++large_sends;
        for (auto& part : segment(flat, offload)) {
            sent.push_back(std::move(part));
        }
        return;
    }
    if (offload.checksum) {
        finish_checksum(flat, offload.checksum_start, offload.checksum_offset);
    }
    sent.push_back(std::move(flat));
}

void wire_card::receive(const std::vector<u8>& frame) {
    constexpr usize front = 12;  // where a device's own header would be
    packet_ptr packet;
    for (usize at = 0; at < frame.size();) {
        ref<chunk> memory = chunk::allocate_for_receive().take();
        const usize offset = at == 0 ? front : 0;
        const usize size = std::min(frame.size() - at, memory->capacity() - offset);
        std::memcpy(memory->data() + offset, frame.data() + at, size);
        if (at == 0) {
            packet = packet_buffer::make_received(std::move(memory), offset, size).take();
        } else {
            std::byte* bytes = memory->data();
            packet->append(std::move(memory), bytes, size);
        }
        at += size;
    }
    _receiver->deliver(std::move(packet));
}

machine::machine(u8 number, ip_prefix address, u32 features) : card(number, features) {
    if (!stack.start().ok()) {
        std::abort();
    }
    eth = stack.add_device(card).take();
    configuration fixed{.mode = address_mode::fixed};
    fixed.addresses[0] = address;
    fixed.address_count = 1;
    if (!stack.configure(*eth, fixed).ok()) {
        std::abort();
    }
}

bool wire::move(wire_card& from, wire_card& to, bool to_right) {
    if (from.sent.empty()) {
        return false;
    }
    // A batch, as a driver would take it off the ring.
    for (usize i = 0; i < 64 && !from.sent.empty(); ++i) {
        std::vector<u8> frame = std::move(from.sent.front());
        from.sent.pop_front();
        ++(to_right ? frames_right : frames_left);
        switch (decide ? decide(to_right, frame) : fate::deliver) {
            case fate::drop:
                break;
            case fate::duplicate:
                to.receive(frame);
                to.receive(frame);
                break;
            case fate::delay:
                _delayed.emplace_back(to_right, std::move(frame));
                break;
            case fate::deliver:
                to.receive(frame);
                break;
        }
    }
    to.receiver()->batch_end();
    return true;
}

usize wire::pump() {
    const usize before = frames_left + frames_right;
    for (;;) {
        bool any = move(_left.card, _right.card, true);
        any = move(_right.card, _left.card, false) || any;
        if (!any && !_delayed.empty()) {
            auto late = std::move(_delayed);
            _delayed.clear();
            for (auto& [to_right, frame] : late) {
                (to_right ? _right : _left).card.receive(frame);
            }
            _left.card.receiver()->batch_end();
            _right.card.receiver()->batch_end();
            any = true;
        }
        if (!any) {
            return frames_left + frames_right - before;
        }
    }
}

void wire::run(u64 duration) {
    run_until([] { return false; }, duration);
}

bool wire::run_until(const std::function<bool()>& condition, u64 limit) {
    const u64 end = now() + limit;
    for (;;) {
        pump();
        if (condition()) {
            return true;
        }
        if (now() >= end) {
            return false;
        }
        // On to the next timer of either side.
        const u64 next = std::min(_left.stack.timers.run(now()), _right.stack.timers.run(now()));
        _left.stack.run_pending();
        _right.stack.run_pending();
        if (_left.card.sent.empty() && _right.card.sent.empty()) {
            host::set_time(std::max(now() + 1, std::min(next, end)));
            _left.stack.timers.run(now());
            _right.stack.timers.run(now());
            _left.stack.run_pending();
            _right.stack.run_pending();
        }
    }
}

ip_prefix prefix(std::string_view text) {
    return parse_prefix(text).take();
}

socket_address to_sockaddr(std::string_view address, u16 port) {
    const ip_address parsed = parse_address(address).take();
    socket_address made;
    if (parsed.is_v4() && address.find(':') == address.npos) {
        sockaddr_in in{.family = address_family::inet};
        store_be<u16>(in.port, port);
        std::memcpy(in.address, parsed.bytes + 12, 4);
        std::memcpy(made.bytes, &in, sizeof(in));
        made.size = sizeof(in);
        return made;
    }
    sockaddr_in6 in{.family = address_family::inet6};
    store_be<u16>(in.port, port);
    std::memcpy(in.address, parsed.bytes, 16);
    std::memcpy(made.bytes, &in, sizeof(in));
    made.size = sizeof(in);
    return made;
}

result<usize> send_bytes(socket& to, std::string_view bytes, u32 flags) {
    io_vector data = io_vector::kernel(std::as_bytes(std::span(bytes)));
    socket_message message(data);
    return to.send(message, flags);
}

result<usize> try_receive(socket& from, std::string& to, usize most, u32 flags) {
    to.resize(most);
    io_vector data = io_vector::kernel(to.data(), to.size());
    socket_message message(data);
    auto got = from.receive(message, flags);
    to.resize(got.ok() ? std::min(got.value(), most) : 0);
    return got;
}

std::string receive_bytes(socket& from, usize most, u32 flags) {
    std::string text;
    static_cast<void>(try_receive(from, text, most, flags));
    return text;
}

}  // namespace kiln::net::test
