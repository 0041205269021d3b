// A model of a machine under Xen for the host tests: event channels of the two-level interface, the
// parameters of a guest, and its store. One a process.
#pragma once

#include <functional>
#include <mutex>

#include "tests/host/xen.hh"
#include "tests/host/xen_store.hh"

namespace kiln::host {

class xen_machine {
public:
    static constexpr u32 store_port = 1, console_port = 2, first_free_port = 8;

    // Sets the model up and starts the kernel's event channels on it, at the first call.
    static xen_machine& the();

    // An event arrives at a port of the guest's.
    void raise(u32 port);
    // What the guest sends.
    std::function<void(u32 port)> on_send = [](u32) {};
    // Calls that the model does not know. err::nosys else.
    std::function<i64(u32 number, const hypercall_arguments& arguments)> others;
    // The number that the next allocated port gets; 0: the next one.
    u32 next_port = 0;

    store_host& store() { return *_store; }
    bool is_open(u32 port);
    u32 vcpu_of_port(u32 port);
    usize open_ports();
    u64 sends() const { return _sends; }

private:
    xen_machine();
    static i64 answer(u32 number, const hypercall_arguments& arguments);
    i64 event_call(u64 operation, u64 argument);
    i64 hvm_call(u64 operation, u64 argument);
    void select(u32 port);
    void upcall();

    std::recursive_mutex _lock;
    std::recursive_mutex _cpu;  // one CPU takes interrupts
    std::map<u32, u32> _open;   // port → virtual CPU
    u32 _last_port = first_free_port;
    std::atomic<u64> _sends{0};
    xen::store_page* _page;
    std::unique_ptr<store_host> _store;
};

}  // namespace kiln::host
