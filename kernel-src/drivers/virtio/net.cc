// kernel only
// virtio-net (VIRTIO 1.2, 5.1): the device, with a pair of queues for each CPU where it offers that
// many. A frame is sent on the pair of the CPU that sends it.
#include <algorithm>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "drivers/nic/network.hh"
#include "drivers/virtio/device.hh"
#include "drivers/virtio/drivers.hh"
#include "drivers/virtio/net_rings.hh"
#include "lib/vector.hh"

namespace kiln::virtio {
namespace {

namespace net_feature {
constexpr u64 checksum = u64{1} << 0, guest_checksum = u64{1} << 1, mtu = u64{1} << 3,
              mac = u64{1} << 5, tso4 = u64{1} << 11, tso6 = u64{1} << 12,
              merge_buffers = u64{1} << 15, status = u64{1} << 16, control_queue = u64{1} << 17,
              multiqueue = u64{1} << 22, any_layout = u64{1} << 27;
constexpr u64 wanted =
    checksum | guest_checksum | mtu | mac | tso4 | tso6 | merge_buffers | status | any_layout;
}  // namespace net_feature

constexpr u32 config_mac = 0, config_status = 6, config_pairs = 8, config_mtu = 10;
constexpr u16 status_link_up = 1;
constexpr u32 most_pairs = 8;
constexpr u16 control_entries = 4;
constexpr u64 longest_command = 500 * ns_per_ms;

// The command that says how many pairs are in use (VIRTIO 1.2, 5.1.6.5.5), in DMA memory.
struct pairs_command {
    u8 command_class = 4;
    u8 command = 0;
    u16 pairs = 0;
    u8 acknowledged = 0xff;
};

class network final : public nic::network {
public:
    explicit network(unique<transport> by)
        : nic::network("virtio-net"), _device(std::move(by)) {}

    result<void> open();
    void give_up() { _device.fail(); }

    u32 mtu() const override { return _mtu; }
    u32 features() const override;

private:
    struct pair {
        network* of;
        net_rings rings;
        nic::queue_pair service;
    };

    static void on_interrupt(void* context);
    static void on_config_change(void* context);
    void look_round(u32 queue) override;
    result<void> restart() override;
    void switch_off() override { _device.switch_off(); }
    bool read_link() override;

    u32 offered_pairs();
    result<void> open_pairs();
    result<void> open_pair(u16 number, usize header_size);
    result<void> use_pairs();
    result<void> wait_for_control();
    void read_addresses();

    device _device;
    vector<unique<pair>> _pairs;
    queue _control;
    doorbell _control_doorbell;
    pairs_command* _command = nullptr;
    u32 _mtu = 1500;
    std::atomic<bool> _config_changed{false};
};

result<void> network::open() {
    const u64 several = cpu_count() > 1 ? net_feature::multiqueue | net_feature::control_queue : 0;
    TRY(_device.begin(net_feature::wanted | several));
    TRY(open_pairs());
    if (_device.has(net_feature::status)) {
        _device.set_config_message(TRY(_device.connect(&on_config_change, this, 0)));
    }
    if (_pairs.size() > 1) {
        page* memory = TRY(alloc_page());
        _command = static_cast<pairs_command*>(page_data(*memory));
        _control_doorbell = TRY(_device.add_queue(static_cast<u16>(offered_pairs() * 2), _control,
                                                  control_entries, no_message));
    }
    read_addresses();
    _device.start();
    set_link(read_link());
    return use_pairs();
}

u32 network::offered_pairs() {
    const bool several = _device.has(net_feature::multiqueue | net_feature::control_queue);
    return several ? _device.config<u16>(config_pairs) : 1;
}

result<void> network::open_pairs() {
    // One interrupt for all says nothing of whose it is.
    const u32 most = _device.has_messages() ? std::min(cpu_count(), most_pairs) : 1;
    const u32 used = std::clamp<u32>(offered_pairs(), 1, most);
    const bool is_short = _device.legacy() && !_device.has(net_feature::merge_buffers);
    for (u32 i = 0; i < used; ++i) {
        TRY(open_pair(static_cast<u16>(i), is_short ? short_net_header : sizeof(net_header)));
    }
    return {};
}

// Makes queues 2 × `number` and the one after it, whose interrupts go to CPU `number`.
result<void> network::open_pair(u16 number, usize header_size) {
    auto owner = TRY(make_unique<pair>());
    pair& made = *owner;
    made.of = this;
    TRY(_pairs.push_back(std::move(owner)));
    const u16 message = TRY(_device.connect(&on_interrupt, &made, number));
    const u16 index = static_cast<u16>(number * 2);
    const doorbell receive = TRY(
        _device.add_queue(index, made.rings.receive_queue(), net_rings::entries, message));
    const doorbell transmit =
        TRY(_device.add_queue(static_cast<u16>(index + 1), made.rings.transmit_queue(),
                              net_rings::entries, message));
    made.rings.set_doorbells(receive, transmit);
    TRY(made.rings.open(header_size));
    return add_queue(made.service, made.rings, true);
}

// The device uses one pair until it is told of more.
result<void> network::use_pairs() {
    if (_pairs.size() == 1) {
        return {};
    }
    *_command = {};
    _command->pairs = static_cast<u16>(_pairs.size());
    const u64 place = dma_address(_command);
    const segment parts[] = {{place, 2, false},
                             {place + offsetof(pairs_command, pairs), 2, false},
                             {place + offsetof(pairs_command, acknowledged), 1, true}};
    TRY(_control.add(parts, _command));
    if (_control.publish()) {
        _control_doorbell.ring();
    }
    return wait_for_control();
}

// Polled, as it happens once; there is no interrupt for the control queue.
result<void> network::wait_for_control() {
    queue::completion done;
    for (const u64 deadline = deadline_after(longest_command); !_control.take(done);) {
        if (now() > deadline) {
            return err::timedout;
        }
        yield();
    }
    return _command->acknowledged == 0 ? result<void>() : err::io;
}

void network::read_addresses() {
    net::mac_address mac;
    _device.read_config(config_mac, &mac, sizeof(mac));
    set_mac(mac);
    if (_device.has(net_feature::mtu)) {
        _mtu = std::clamp<u32>(_device.config<u16>(config_mtu), 68, 65535);
    }
}

u32 network::features() const {
    namespace f = net::device_feature;
    const u32 sum = _device.has(net_feature::checksum) ? f::transmit_checksum : 0;
    // Segmentation stands on checksums.
    return sum == 0 ? 0
                    : sum | (_device.has(net_feature::tso4) ? f::tso4 : 0) |
                          (_device.has(net_feature::tso6) ? f::tso6 : 0);
}

// Without messages it comes for everything, and that it was this device's line has been seen.
void network::on_interrupt(void* context) {
    auto& mine = *static_cast<pair*>(context);
    if (!mine.service.wake_by_interrupt()) {
        mine.of->_device.silence();
    }
}

void network::on_config_change(void* context) {
    auto& self = *static_cast<network*>(context);
    self._config_changed.store(true, std::memory_order_release);
    self._pairs[0]->service.wake();
}

void network::look_round(u32) {
    if (_config_changed.load(std::memory_order_relaxed) &&
        _config_changed.exchange(false, std::memory_order_acquire)) {
        set_link(read_link());
    }
}

bool network::read_link() {
    return !_device.has(net_feature::status) ||
           (_device.config<u16>(config_status) & status_link_up) != 0;
}

result<void> network::restart() {
    TRY(_device.stop());
    for (const unique<pair>& each : _pairs) {
        each->rings.clear();
    }
    if (_pairs.size() > 1) {
        (void)_control.take_back();
        _control.restart();
    }
    TRY(_device.restart());
    _device.start();
    return use_pairs();
}

}  // namespace

result<void> start_net(unique<transport> by) {
    return nic::add_card<network>(std::move(by));
}

}  // namespace kiln::virtio
