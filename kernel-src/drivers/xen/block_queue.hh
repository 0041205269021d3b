// One ring of a virtual block device: its requests in flight, and the threads that wait for them.
//
// Data is copied through pages that are granted for good (page_pool.hh). The backend thereby reaches
// nothing else, whatever it does and however late, and a buffer may begin and end anywhere.
// A response must carry the number of a request that is in flight, and its count of uses: one that
// comes twice, or was made up, ends the ring.
//
// Locks: `_lock` (innermost but for that of the slots) guards the ring and `_open`; taken by the
// event's handler. Context: take_finished, close from any, the others from threads.
#pragma once

#include <span>

#include "drivers/block/request_slots.hh"
#include "drivers/block/sector_disk.hh"
#include "drivers/xen/block_layout.hh"
#include "drivers/xen/page_pool.hh"
#include "drivers/xen/shared_ring.hh"

namespace kiln::xen {

class block_queue : noncopyable {
public:
    static constexpr u32 most_segments = 64;  // pages of one request
    static constexpr u32 most_pages = 256;
    // Events in a row for which there was nothing to do.
    static constexpr u32 most_idle_events = 50'000;

    enum class outcome : u8 {
        good,
        failed,         // the backend says so
        not_supported,  // the backend does not know the operation
        closed,         // before or meanwhile
    };

    // What happens whenever a request has not been answered for a while.
    struct patience {
        u64 duration;
        void (*expired)(void* context);
        void* context;
    };

    // Makes the ring, for the backend to look at.
    result<void> open(grant_table& in, u16 domain);
    grant_reference ring_page() const { return _ring_page.reference(); }
    u32 segments() const { return _segments; }
    // The backend knows the ring: requests are accepted, of up to `segments` pages. Those of more than
    // `most_direct_segments` are indirect.
    result<void> connect(grant_table& in, u16 domain, u32 segments, doorbell bell, u16 device);

    // Moves `pieces`, whole sectors in sum and at most segments() pages; or none, for a flush.
    outcome run(block_operation what, u64 sector, std::span<const dma_piece> pieces,
                const patience& waiting);
    // Ends what the backend has answered. False when it is not to be trusted any more.
    [[nodiscard]] bool take_finished();
    // Nothing is accepted any more, and what is in flight ends.
    void close();

private:
    struct transfer {
        block_operation what;
        u64 sector;
        usize bytes;
        std::span<granted_page* const> pages;
    };

    bool submit(const transfer& asked, u32 number);
    void put_direct(const transfer& asked, u64 id);
    void put_indirect(const transfer& asked, u32 number, u64 id);
    outcome wait(u32 number, const patience& waiting);
    bool finish(const block_response& response);
    bool take_responses(bool& sane);

    irq_spinlock _lock;
    front_ring<block_request, block_response> _ring;
    granted_page _ring_page;
    page_pool _pool;
    request_slots _slots;
    vector<granted_page> _segment_pages;  // by number, where requests are indirect
    u64 _expected[request_slots::most]{};  // the identifier in flight; 0 for none
    i16 _status[request_slots::most]{};
    u32 _uses = 0;
    u32 _segments = most_direct_segments;
    u32 _idle_events = 0;
    u16 _device = 0;
    doorbell _bell;
    bool _open = false;
};

}  // namespace kiln::xen
