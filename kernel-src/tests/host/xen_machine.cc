#include "tests/host/xen_machine.hh"

#include <cstdlib>
#include <cstring>
#include <new>

#include "drivers/xen/event_channel.hh"

namespace kiln::host {
namespace {

template <class Structure>
Structure& at(u64 address) {
    return *reinterpret_cast<Structure*>(address);
}

constexpr i64 failed(err why) {
    return -static_cast<i64>(why);
}

xen_machine* the_machine = nullptr;

}  // namespace

xen_machine& xen_machine::the() {
    static xen_machine& made = *[] {
        the_machine = new xen_machine();
        set_hypercall_model(&answer);
        for (auto& word : xen::the_shared_info().mask) {
            word = ~u64{0};
        }
        if (!xen::event_channel::start().ok()) {
            std::abort();
        }
        return the_machine;
    }();
    return made;
}

xen_machine::xen_machine() {
    _page = new (std::aligned_alloc(page_size, page_size)) xen::store_page;
    std::memset(static_cast<void*>(_page), 0, sizeof(*_page));
    _open[store_port] = 0;
    _open[console_port] = 0;
    _store = std::make_unique<store_host>(*_page, [this] { raise(store_port); });
}

bool xen_machine::is_open(u32 port) {
    std::lock_guard guard(_lock);
    return _open.contains(port);
}

u32 xen_machine::vcpu_of_port(u32 port) {
    std::lock_guard guard(_lock);
    return _open[port];
}

usize xen_machine::open_ports() {
    std::lock_guard guard(_lock);
    return _open.size();
}

void xen_machine::select(u32 port) {
    xen::vcpu_info& info = xen::the_shared_info().vcpu[vcpu_of_port(port)];
    if ((info.pending_selector.fetch_or(u64{1} << port / 64) & u64{1} << port / 64) == 0 &&
        info.upcall_pending.exchange(1) == 0) {
        upcall();
    }
}

void xen_machine::raise(u32 port) {
    xen::shared_info& shared = xen::the_shared_info();
    const u64 bit = u64{1} << port % 64;
    if ((shared.pending[port / 64].fetch_or(bit) & bit) == 0 &&
        (shared.mask[port / 64].load() & bit) == 0) {
        select(port);
    }
}

// An interrupt: on one CPU, one at a time.
void xen_machine::upcall() {
    std::lock_guard guard(_cpu);
    raise_upcall();
}

i64 xen_machine::answer(u32 number, const hypercall_arguments& arguments) {
    xen_machine& self = *the_machine;
    switch (number) {
        case xen::call::event_channel_op: return self.event_call(arguments.a0, arguments.a1);
        case xen::call::hvm_op: return self.hvm_call(arguments.a0, arguments.a1);
        case xen::call::sched_op: return 0;
        default: return self.others ? self.others(number, arguments) : failed(err::nosys);
    }
}

i64 xen_machine::event_call(u64 operation, u64 argument) {
    namespace event = xen::event_operation;
    const u32 port = at<xen::port_request>(argument).port;
    if (operation == event::alloc_unbound) {
        std::lock_guard guard(_lock);
        const u32 made = next_port != 0 ? std::exchange(next_port, 0) : ++_last_port;
        at<xen::alloc_unbound>(argument).port = made;
        _open[made] = 0;
        return 0;
    }
    if (!is_open(port)) {
        return failed(err::inval);
    }
    if (operation == event::send) {
        ++_sends;
        if (port == store_port) {
            _store->kick();
        }
        on_send(port);
    } else if (operation == event::close) {
        std::lock_guard guard(_lock);
        _open.erase(port);
    } else if (operation == event::bind_vcpu) {
        std::lock_guard guard(_lock);
        _open[port] = at<xen::bind_vcpu>(argument).vcpu;
    } else if (operation == event::unmask) {
        const u64 bit = u64{1} << port % 64;
        xen::shared_info& shared = xen::the_shared_info();
        if ((shared.mask[port / 64].fetch_and(~bit) & bit) != 0 &&
            (shared.pending[port / 64].load() & bit) != 0) {
            select(port);
        }
    } else {
        return failed(err::nosys);
    }
    return 0;
}

i64 xen_machine::hvm_call(u64 operation, u64 argument) {
    auto& parameter = at<xen::hvm_parameter>(argument);
    if (operation != xen::hvm_operation::get_param) {
        return 0;
    }
    switch (parameter.index) {
        case xen::hvm_param::store_frame: parameter.value = xen::frame_of(_page); return 0;
        case xen::hvm_param::store_port: parameter.value = store_port; return 0;
        default: parameter.value = 0; return 0;
    }
}

}  // namespace kiln::host
