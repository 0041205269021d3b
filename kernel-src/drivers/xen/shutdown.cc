#include "drivers/xen/shutdown.hh"

#include <atomic>

#include "core/log.hh"
#include "drivers/xen/store_text.hh"
#include "drivers/xen/xenstore.hh"

namespace kiln::xen {
namespace {

constexpr std::string_view request_path = "control/shutdown";

constinit std::atomic<void (*)(operator_request)> obey_request{nullptr};

// A request is answered by taking its word away, whether or not it can be obeyed.
void on_change(void*, std::string_view) {
    const result<string> word = xenstore::read(request_path);
    if (!word.ok() || without_nul(word.value()).empty()) {
        return;
    }
    const std::string_view asked = without_nul(word.value());
    if (!xenstore::write(request_path, "").ok()) {
        log_warning("xen: the operator's request to {} cannot be answered", asked);
    }
    log_info("xen: the operator asks for {}", asked);
    if (asked == "poweroff" || asked == "halt") {
        obey_request.load()(operator_request::poweroff);
    } else if (asked == "reboot") {
        obey_request.load()(operator_request::reboot);
    } else {
        log_warning("xen: {} is nothing that this kernel can do; poweroff, halt and reboot are", asked);
    }
}

// The tools may leave the parent to themselves; then they find out by asking.
void tell_of_abilities() {
    for (const auto& each : {std::pair{"control/feature-poweroff", "1"},
                             std::pair{"control/feature-reboot", "1"},
                             std::pair{"control/feature-suspend", "0"}}) {
        static_cast<void>(xenstore::write(each.first, each.second));
    }
}

}  // namespace

void watch_shutdown(void (*obey)(operator_request)) {
    if (!xenstore::available()) {
        return;
    }
    obey_request.store(obey);
    tell_of_abilities();
    const result<u32> watched = xenstore::watch(request_path, &on_change, nullptr);
    if (!watched.ok()) {
        log_warning("xen: the operator's requests cannot be watched (error {})", watched.error());
    }
}

}  // namespace kiln::xen
