#include "net/net_device.hh"

#include "core/spinlock.hh"
#include "net/device_registry.hh"

namespace kiln::net {
namespace {

constinit spinlock registry_lock;
constinit list<net_device, &net_device::link> registry;
constinit device_listener announce = nullptr;

}  // namespace

void register_net_device(net_device& device) {
    device_listener told;
    {
        lock_guard guard(registry_lock);
        registry.push_back(device);
        told = announce;
    }
    if (told != nullptr) {
        told(device);
    }
}

void take_net_devices(device_listener listener) {
    registry_lock.lock();
    announce = listener;
    net_device* device = registry.front();
    while (device != nullptr) {
        registry_lock.unlock();
        listener(*device);
        registry_lock.lock();
        device = registry.next(*device);
    }
    registry_lock.unlock();
}

}  // namespace kiln::net
