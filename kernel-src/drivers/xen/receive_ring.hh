// The ring by which a virtual network interface receives.
//
// The backend copies frames into pages that are granted for good, one for each slot of the ring, from
// which they are copied out into packets; so whatever it writes, and however late, is nobody's memory.
// A response lies in the slot of its request, which is what names the page. A frame that is longer
// than a page goes on in further slots.
// Not locked: one thread uses it.
#pragma once

#include "drivers/nic/rings.hh"
#include "drivers/xen/granted_page.hh"
#include "drivers/xen/net_layout.hh"
#include "drivers/xen/shared_ring.hh"

namespace kiln::xen {

class receive_ring : noncopyable {
public:
    using ring = front_ring<receive_request, receive_response>;
    static constexpr u32 refill_step = 16;

    result<void> open(grant_table& in, u16 domain);
    grant_reference ring_page() const { return _ring_page.reference(); }

    // Asks for frames with all pages that are free; true when the backend wants to be told.
    [[nodiscard]] bool refill();
    nic::received take(net::packet_ptr& frame);
    bool has_received() const { return _ring.has_response(); }
    void ask_for_event() { _ring.ask_for_event(); }
    // As new; the backend does not use it now.
    void clear();

private:
    // Enough for the longest frame of IPv4 or IPv6.
    static constexpr usize most_chunks = 5;

    nic::received take_slot(const receive_response& slot, u32 number, net::packet_ptr& frame);
    void begin(const receive_response& first);
    void add_data(const receive_response& part, u32 number);
    void add_extra(const receive_response& overlaid);
    bool copy_in(const std::byte* bytes, usize length, bool all_of_it);
    bool add_chunk(bool small);
    nic::received finish(net::packet_ptr& frame);
    void forget_partial();

    ring _ring;
    granted_page _ring_page;
    vector<granted_page> _pages;  // by slot

    // The frame that is being put together.
    ref<net::chunk> _chunks[most_chunks];
    usize _lengths[most_chunks]{};
    usize _chunk_count = 0;
    bool _inside = false;         // its first slot has been seen
    bool _expects_extra = false;  // the next slot is extra information
    bool _expects_data = false;   // data follows (after that)
    bool _bad = false;            // it cannot be kept
    bool _checksum_valid = false;
};

}  // namespace kiln::xen
