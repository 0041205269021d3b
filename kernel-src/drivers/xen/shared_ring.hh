// A ring of requests and responses in a page that two domains share (Xen public io/ring.h), the side
// that asks.
//
// All that is decided upon lies beside the page: what the other side writes there is read once, and
// an index that it cannot have reached ends the ring. Slots are reused in order, when as many
// responses as requests have been taken. Not locked.
#pragma once

#include <bit>

#include "drivers/mmio.hh"
#include "lib/types.hh"

namespace kiln::xen {

enum class ring_state : u8 { none, response, broken };

template <class Request, class Response>
class front_ring {
    union entry {
        Request request;
        Response response;
    };
    struct layout {
        u32 request_producer, request_event;    // written by us, by the other side
        u32 response_producer, response_event;  // the other way round
        u8 reserved[48];
        entry entries[];
    };
    static_assert(offsetof(layout, entries) == 64);

public:
    static constexpr u32 size =
        std::bit_floor(static_cast<u32>((page_size - sizeof(layout)) / sizeof(entry)));

    // The page outlives the ring; the other side does not use it now.
    void init(void* shared_page) {
        _shared = static_cast<layout*>(shared_page);
        __builtin_memset(shared_page, 0, page_size);
        _shared->request_event = _shared->response_event = 1;
        _produced = _published = _consumed = 0;
    }

    // Requests that there is room for.
    u32 room() const { return size - (_produced - _consumed); }
    // The slot of the next request, and of the next response.
    u32 next_slot() const { return _produced % size; }
    u32 next_answer() const { return _consumed % size; }

    // A request, or what a protocol has in the place of one.
    template <class Entry>
    void put(const Entry& made) {
        static_assert(sizeof(Entry) <= sizeof(entry));
        __builtin_memcpy(&_shared->entries[next_slot()], &made, sizeof(made));
        ++_produced;
    }

    // Shows the other side what was put; true when it wants to be told.
    [[nodiscard]] bool publish() {
        if (_produced == _published) {
            return false;
        }
        __atomic_store_n(&_shared->request_producer, _produced, __ATOMIC_RELEASE);
        device_fence();
        const u32 wanted = __atomic_load_n(&_shared->request_event, __ATOMIC_RELAXED);
        const bool passed = _produced - wanted < _produced - _published;
        _published = _produced;
        return passed;
    }

    // A copy of the next response.
    ring_state take(Response& response) {
        const u32 waiting = answered();
        if (waiting == 0) {
            return ring_state::none;
        }
        if (waiting > _published - _consumed) {
            return ring_state::broken;
        }
        const auto* from = reinterpret_cast<const volatile u8*>(&_shared->entries[next_answer()]);
        for (usize i = 0; i < sizeof(Response); ++i) {
            reinterpret_cast<u8*>(&response)[i] = from[i];
        }
        ++_consumed;
        return ring_state::response;
    }

    bool has_response() const { return answered() != 0; }

    // Asks for an event at the next response. The caller looks again afterwards.
    void ask_for_event() {
        __atomic_store_n(&_shared->response_event, _consumed + 1, __ATOMIC_RELAXED);
        device_fence();
    }

private:
    u32 answered() const {
        return __atomic_load_n(&_shared->response_producer, __ATOMIC_ACQUIRE) - _consumed;
    }

    layout* _shared = nullptr;
    u32 _produced = 0;   // free-running, as all of them
    u32 _published = 0;  // of those, what the other side may see
    u32 _consumed = 0;
};

// How the other side is told.
struct doorbell {
    void (*ring_port)(u32 port) = nullptr;
    u32 port = 0;

    void ring() const { ring_port(port); }
};

}  // namespace kiln::xen
