// kernel only: the one stack of the kernel, its devices and its thread.
#include "core/log.hh"
#include "net/device_registry.hh"
#include "net/netlink.hh"
#include "net/socket_factory.hh"
#include "net/stack.hh"
#include "net/unix_socket.hh"

namespace kiln::net {
namespace {

constinit network_stack* the_stack = nullptr;
constinit configuration boot_configuration;

// Everything that waits for time: the stack's timers fire here.
[[noreturn]] void run_timers(void* argument) {
    auto& stack = *static_cast<network_stack*>(argument);
    stack.timers.set_runner(&current_thread());
    for (;;) {
        const u64 next = stack.timers.run(now());
        stack.run_pending();
        park(next);
    }
}

void take_device(net_device& device) {
    auto added = the_stack->add_device(device);
    if (!added.ok()) {
        if (added.error() != err::exist) {
            log_error("net: a network card cannot be used: error {}", added.error());
        }
        return;
    }
    // Only the first card is configured as the image says; more stay without addresses.
    if (added.value()->index() == 2) {
        auto done = the_stack->configure(*added.value(), boot_configuration);
        if (!done.ok()) {
            log_error("net: {} cannot be configured: error {}", added.value()->name(), done.error());
        }
    }
}

}  // namespace

network_stack& the_network() {
    KILN_ASSERT(the_stack != nullptr);
    return *the_stack;
}

result<void> net_init(const configuration& wanted) {
    auto* made = new (std::nothrow) network_stack;
    if (made == nullptr) {
        return err::nomem;
    }
    TRY(made->start());
    the_stack = made;
    boot_configuration = wanted;
    TRY(start_kernel_thread("net", &run_timers, made));
    take_net_devices(&take_device);
    return {};
}

result<ref<socket>> make_socket(i32 family, i32 type, i32 protocol) {
    if (family == address_family::inet || family == address_family::inet6) {
        return make_inet_socket(the_network(), static_cast<u16>(family), type, protocol);
    }
    if (family == address_family::local) {
        return make_unix_socket(type, protocol);
    }
    if (family == address_family::netlink) {
        if (type != socket_type::raw && type != socket_type::datagram) {
            return err::socktnosupport;
        }
        return protocol == 0 ? result<ref<socket>>(ref<socket>(TRY(make_ref<netlink_socket>(
                                   the_network(), static_cast<u16>(type)))))
                             : err::protonosupport;
    }
    return err::afnosupport;
}

result<void> make_socket_pair(i32 family, i32 type, i32 protocol, ref<socket>& first,
                              ref<socket>& second) {
    // The checks, and the errors, are those of socket(2).
    ref<socket> probe = TRY(make_socket(family, type, protocol));
    if (family != address_family::local) {
        return err::opnotsupp;
    }
    return unix_socket::make_pair(probe->type(), first, second);
}

result<void> net_wait_configured(u64 deadline) {
    network_stack& stack = the_network();
    if (stack.interface_count() < 2 || boot_configuration.mode == address_mode::none) {
        return {};
    }
    return wait_until(
        stack.configuration_queue(), [&] { return stack.configured(); }, deadline);
}

}  // namespace kiln::net
