#include "drivers/xen/net_rings.hh"

namespace kiln::xen {

result<void> net_rings::open(grant_table& in, u16 domain) {
    TRY(_receive.open(in, domain));
    return _send.open(in, domain);
}

void net_rings::connect(doorbell bell, bool scatter) {
    _bell = bell;
    _send.set_scatter(scatter);
}

// The pages are there already, so memory is never out.
bool net_rings::refill() {
    if (_receive.refill()) {
        _bell.ring();
    }
    return true;
}

void net_rings::tell_device() {
    if (_send.publish()) {
        _bell.ring();
    }
}

// An event comes once for each time that it is asked for.
void net_rings::allow_interrupts(bool sent) {
    _receive.ask_for_event();
    if (sent) {
        _send.ask_for_event();
    }
}

void net_rings::clear() {
    _receive.clear();
    _send.clear();
}

}  // namespace kiln::xen
