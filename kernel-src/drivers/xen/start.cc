// kernel only
#include "core/log.hh"
#include "drivers/xen/event_channel.hh"
#include "drivers/xen/fronts.hh"
#include "drivers/xen/hypercall.hh"
#include "drivers/xen/unplug.hh"
#include "drivers/xen/xen.hh"
#include "drivers/xen/xenstore.hh"

namespace kiln::xen {

device_list start() {
    if (!on_xen()) {
        return {};
    }
    const auto events = event_channel::start();
    if (!events.ok()) {
        log_error("xen: no events are delivered (error {}); its devices are not used",
                  events.error());
        return {};
    }
    if (!xenstore::start().ok()) {
        return {};
    }
    device_list found = find_devices();
    unplug(!found.disks.empty(), !found.networks.empty());
    return found;
}

}  // namespace kiln::xen
