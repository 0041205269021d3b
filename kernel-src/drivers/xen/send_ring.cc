#include "drivers/xen/send_ring.hh"

#include <algorithm>
#include <utility>

namespace kiln::xen {
namespace {

using segmentation = net::transmit_offload::segmentation;

}  // namespace

result<void> send_ring::open(grant_table& in, u16 domain) {
    _ring_page = TRY(granted_page::make(in, domain, grant_access::read_write));
    TRY(add_granted_pages(_pages, ring::size, in, domain, grant_access::read_only));
    _ring.init(_ring_page.data());
    fill_free();
    return {};
}

void send_ring::fill_free() {
    for (_free_count = 0; _free_count < ring::size; ++_free_count) {
        _free[_free_count] = static_cast<u16>(_free_count);
    }
}

void send_ring::clear() {
    for (net::packet_buffer*& each : _frames) {
        delete std::exchange(each, nullptr);
    }
    std::fill(std::begin(_sending), std::end(_sending), false);
    fill_free();
    _ring.init(_ring_page.data());
}

void send_ring::put_piece(const net::packet_buffer& frame, usize offset, u16 flags, u16 size) {
    const u16 number = _free[--_free_count];
    _sending[number] = true;
    const granted_page& page = _pages[number];
    frame.copy_out(offset, page.data(), std::min(page_size, frame.size() - offset));
    _ring.put(send_request{page.reference(), 0, flags, number, size});
}

void send_ring::put_segmentation(const net::transmit_offload& asked) {
    extra_info made{};
    made.type = extra::segmentation;
    made.segment_size = asked.segment_size;
    made.segmentation = asked.kind == segmentation::tcp4 ? extra::tcp4 : extra::tcp6;
    _ring.put(made);
}

nic::placed send_ring::put(net::packet_buffer& frame) {
    const usize size = frame.size(), pieces = (size + page_size - 1) / page_size;
    const net::transmit_offload& asked = frame.offload;
    const bool segmented = asked.kind != segmentation::none;
    if (size == 0 || size > longest_sent_frame || pieces > _most_pieces) {
        return nic::placed::refused;
    }
    if (pieces > _free_count || pieces + (segmented ? 1 : 0) > _ring.room()) {
        return nic::placed::no_room;
    }
    u16 flags = pieces > 1 ? net_flag::more_data : 0;
    if (asked.checksum || segmented) {
        flags |= net_flag::send_checksum_blank | net_flag::send_data_validated;
    }
    _frames[_free[_free_count - 1]] = &frame;
    put_piece(frame, 0, flags | (segmented ? net_flag::extra_info : 0), static_cast<u16>(size));
    if (segmented) {
        put_segmentation(asked);
    }
    for (usize i = 1; i < pieces; ++i) {
        const usize offset = i * page_size;
        put_piece(frame, offset, i + 1 < pieces ? net_flag::more_data : 0,
                  static_cast<u16>(std::min(page_size, size - offset)));
    }
    return nic::placed::on_ring;
}

// A page comes back once for each time that it was sent.
bool send_ring::finish(u16 number, net::packet_queue& sent) {
    if (number >= ring::size || !std::exchange(_sending[number], false)) {
        return false;
    }
    _free[_free_count++] = number;
    if (net::packet_buffer* first_of = std::exchange(_frames[number], nullptr)) {
        sent.push_back(net::packet_ptr(first_of));
    }
    return true;
}

bool send_ring::reap(net::packet_queue& sent) {
    send_response done;
    for (;;) {
        switch (_ring.take(done)) {
            case ring_state::none: return true;
            case ring_state::broken: return false;
            case ring_state::response: break;
        }
        if (done.status != send_status::of_extra_info && !finish(done.id, sent)) {
            return false;
        }
    }
}

}  // namespace kiln::xen
