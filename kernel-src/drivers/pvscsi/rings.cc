#include "drivers/pvscsi/rings.hh"

namespace kiln::pvscsi {

void rings::init(void* state, void* request_page, void* completion_page) {
    _state = static_cast<ring_state*>(state);
    _requests = static_cast<request*>(request_page);
    _completions = static_cast<completion*>(completion_page);
    clear();
}

void rings::clear() {
    __builtin_memset(static_cast<void*>(_state), 0, page_size);
    __builtin_memset(static_cast<void*>(_requests), 0, page_size);
    __builtin_memset(static_cast<void*>(_completions), 0, page_size);
    _produced = _consumed = 0;
    _broken = false;
}

void rings::put(const request& made) {
    _requests[_produced % requests] = made;
    __atomic_store_n(&_state->requests_produced, ++_produced, __ATOMIC_RELEASE);
}

bool rings::take(completion& next) {
    const u32 waiting =
        __atomic_load_n(&_state->completions_produced, __ATOMIC_ACQUIRE) - _consumed;
    _broken = _broken || waiting > _produced - _consumed;
    if (_broken || waiting == 0) {
        return false;
    }
    next = _completions[_consumed % completions];
    __atomic_store_n(&_state->completions_consumed, ++_consumed, __ATOMIC_RELEASE);
    return true;
}

}  // namespace kiln::pvscsi
