// kernel only
#include "drivers/xen/fronts.hh"

#include <algorithm>

#include "core/log.hh"
#include "drivers/xen/grant_table.hh"
#include "drivers/xen/xenstore.hh"

namespace kiln::xen {
namespace {

// By length and then by letters, which for numbers is by value.
bool comes_first(const string& a, const string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a.view() < b.view();
}

vector<string> devices_of(std::string_view directory) {
    auto found = xenstore::list(directory);
    if (!found.ok()) {
        return {};
    }
    vector<string> ids = found.take();
    std::sort(ids.begin(), ids.end(), comes_first);
    return ids;
}

void complain(std::string_view kind, std::string_view id, err error) {
    log_warning("xen: {} {} cannot be used (error {})", kind, id, error);
}

template <class Device>
struct offered_device {
    string id;
    Device* device;
};

template <class Device>
vector<offered_device<Device>> offer_all(std::string_view kind, vector<string> ids,
                                         result<Device*> (*offer)(std::string_view id)) {
    vector<offered_device<Device>> offered;
    for (string& id : ids) {
        auto made = offer(id);
        if (!made.ok()) {
            complain(kind, id, made.error());
        } else if (!offered.push_back({std::move(id), made.value()}).ok()) {
            log_warning("xen: out of memory while starting devices");
        }
    }
    return offered;
}

template <class Device>
void finish_all(std::string_view kind, vector<offered_device<Device>> offered,
                result<void> (*finish)(Device& device)) {
    for (const offered_device<Device>& each : offered) {
        auto outcome = finish(*each.device);
        if (!outcome.ok()) {
            complain(kind, each.id, outcome.error());
        }
    }
}

}  // namespace

device_list find_devices() {
    return {devices_of("device/vbd"), devices_of("device/vif")};
}

void start_fronts(device_list found) {
    if (found.disks.empty() && found.networks.empty()) {
        return;
    }
    if (auto started = start_grant_table(); !started.ok()) {
        log_error("xen: there is no grant table (error {}); no device can be used",
                  started.error());
        return;
    }
    auto disks = offer_all("vbd", std::move(found.disks), &offer_disk);
    auto networks = offer_all("vif", std::move(found.networks), &offer_network);
    finish_all("vbd", std::move(disks), &finish_disk);
    finish_all("vif", std::move(networks), &finish_network);
}

}  // namespace kiln::xen
