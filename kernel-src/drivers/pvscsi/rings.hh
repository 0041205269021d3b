// The rings of requests and completions, a page each, the driver's side.
//
// What the driver must not lose is kept beside what the device sees. Not locked.
#pragma once

#include "drivers/pvscsi/layout.hh"

namespace kiln::pvscsi {

class rings {
public:
    static constexpr u32 requests = 32, completions = 128;
    static_assert(requests * sizeof(request) == 4096 && completions * sizeof(completion) == 4096);

    // Pages that outlive it.
    void init(void* state, void* request_page, void* completion_page);
    // Empty, as the device has to find them after a reset.
    void clear();
    const void* state() const { return _state; }
    const void* request_page() const { return _requests; }
    const void* completion_page() const { return _completions; }

    // Only as many as `requests` may be in flight.
    void put(const request& made);
    // The next finished one; false when there is none, or the device claims more than it was given.
    bool take(completion& next);
    bool broken() const { return _broken; }

private:
    ring_state* _state = nullptr;
    request* _requests = nullptr;
    completion* _completions = nullptr;
    u32 _produced = 0;
    u32 _consumed = 0;
    bool _broken = false;
};

}  // namespace kiln::pvscsi
