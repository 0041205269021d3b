// The ring by which a virtual network interface sends.
//
// A frame is copied, dense, into pages that are granted for good: the backend reaches nothing else, and
// a frame of any shape takes as few slots as it has pages. A page has a number, by which the backend
// names it when it is done; the numbers come back in any order, each once.
// Not locked: the owner's lock guards every call but the constructor's.
#pragma once

#include "drivers/nic/rings.hh"
#include "drivers/xen/granted_page.hh"
#include "drivers/xen/net_layout.hh"
#include "drivers/xen/shared_ring.hh"

namespace kiln::xen {

class send_ring : noncopyable {
public:
    using ring = front_ring<send_request, send_response>;

    result<void> open(grant_table& in, u16 domain);
    grant_reference ring_page() const { return _ring_page.reference(); }
    // Whether the backend takes frames of several slots.
    void set_scatter(bool scatter) { _most_pieces = scatter ? most_pieces : 1; }

    nic::placed put(net::packet_buffer& frame);
    // True when the backend wants to be told.
    [[nodiscard]] bool publish() { return _ring.publish(); }
    // False when the backend broke the ring.
    bool reap(net::packet_queue& sent);
    bool has_sent() const { return _ring.has_response(); }
    void ask_for_event() { _ring.ask_for_event(); }
    // As new; the backend does not use it now. Frames that were not sent are lost.
    void clear();

private:
    static constexpr u32 most_pieces = (longest_sent_frame + page_size) / page_size;
    // Backends take at least 18 (XEN_NETIF_NR_SLOTS_MIN).
    static_assert(most_pieces <= 18);

    void fill_free();
    void put_piece(const net::packet_buffer& frame, usize offset, u16 flags, u16 size);
    void put_segmentation(const net::transmit_offload& asked);
    bool finish(u16 number, net::packet_queue& sent);

    ring _ring;
    granted_page _ring_page;
    vector<granted_page> _pages;
    net::packet_buffer* _frames[ring::size]{};  // by the number of their first page
    bool _sending[ring::size]{};
    u16 _free[ring::size]{};
    u32 _free_count = 0;
    u32 _most_pieces = 1;
};

}  // namespace kiln::xen
