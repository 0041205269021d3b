// kernel only
// virtio-net (VIRTIO 1.2, 5.1): the device, with a pair of queues for each CPU where it offers that
// many. A frame is sent on the pair of the CPU that sends it.
#include <algorithm>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "drivers/virtio/drivers.hh"
#include "drivers/virtio/net_queue.hh"
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

class network final : public net::net_device {
public:
    explicit network(pci::function& function) : _device(function) {}

    result<void> open();
    void give_up() { _device.fail(); }

    net::mac_address mac() const override { return _mac; }
    u32 mtu() const override { return _mtu; }
    u32 features() const override;
    bool link_up() const override { return _link_up.load(std::memory_order_relaxed); }
    net::device_counters counters() const override;
    void transmit(net::packet_ptr frame, bool more) override;
    void start(net::net_receiver& receiver) override;

private:
    static void on_config_change(void* context);
    static void look_at_link(void* context);
    result<void> open_pairs();
    result<void> use_pairs(doorbell control);
    void read_addresses();
    void check_link();

    device _device;
    vector<unique<net_queue_pair>> _pairs;
    queue _control;
    net::mac_address _mac{};
    u32 _mtu = 1500;
    std::atomic<bool> _link_up{true};
    std::atomic<bool> _config_changed{false};
    net::net_receiver* _receiver = nullptr;
};

result<void> network::open() {
    TRY(_device.open());
    const u64 several = cpu_count() > 1 ? net_feature::multiqueue | net_feature::control_queue : 0;
    TRY(_device.begin(net_feature::wanted | several));
    TRY(open_pairs());
    if (_device.has(net_feature::status)) {
        _device.set_config_message(TRY(_device.connect(&on_config_change, this, 0)));
    }
    const u32 offered =
        _device.has(net_feature::multiqueue) ? _device.config<u16>(config_pairs) : 1;
    doorbell control;
    if (_pairs.size() > 1) {
        control = TRY(_device.add_queue(static_cast<u16>(offered * 2), _control, control_entries,
                                        no_message));
    }
    read_addresses();
    _device.start();
    check_link();
    return _pairs.size() > 1 ? use_pairs(control) : result<void>();
}

result<void> network::open_pairs() {
    const bool several = _device.has(net_feature::multiqueue | net_feature::control_queue);
    const u32 offered = several ? _device.config<u16>(config_pairs) : 1;
    const u32 used = std::clamp<u32>(std::min(offered, cpu_count()), 1, most_pairs);
    const bool is_short = _device.legacy() && !_device.has(net_feature::merge_buffers);
    for (u32 i = 0; i < used; ++i) {
        auto made = TRY(make_unique<net_queue_pair>());
        TRY(made->open(_device, static_cast<u16>(i), i,
                       is_short ? short_net_header : sizeof(net_header)));
        TRY(_pairs.push_back(std::move(made)));
    }
    return {};
}

// Polled, as it happens once; there is no interrupt for the control queue.
result<void> network::use_pairs(doorbell control) {
    page* memory = TRY(alloc_page());
    auto* command = new (page_data(*memory)) pairs_command;
    command->pairs = static_cast<u16>(_pairs.size());
    const u64 place = dma_address(command);
    const segment parts[] = {{place, 2, false},
                             {place + offsetof(pairs_command, pairs), 2, false},
                             {place + offsetof(pairs_command, acknowledged), 1, true}};
    TRY(_control.add(parts, command));
    if (_control.publish()) {
        control.ring();
    }
    queue::completion done;
    for (const u64 deadline = deadline_after(longest_command); !_control.take(done);) {
        if (now() > deadline) {
            return err::timedout;  // the page stays the device's
        }
        yield();
    }
    const bool good = command->acknowledged == 0;
    drop_page_reference(*memory);
    return good ? result<void>() : err::io;
}

void network::read_addresses() {
    _device.read_config(config_mac, &_mac, sizeof(_mac));
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

net::device_counters network::counters() const {
    net::device_counters sum{};
    for (const unique<net_queue_pair>& each : _pairs) {
        each->add_counters(sum);
    }
    return sum;
}

void network::transmit(net::packet_ptr frame, bool more) {
    _pairs[_pairs.size() == 1 ? 0 : this_cpu() % _pairs.size()]->transmit(std::move(frame), more);
}

void network::start(net::net_receiver& receiver) {
    _receiver = &receiver;
    for (u32 i = 0; i < _pairs.size(); ++i) {
        // A single pair's thread may run wherever there is time.
        const u32 cpu = _pairs.size() == 1 ? max_cpus : i;
        if (!_pairs[i]->start(receiver, cpu, &look_at_link, this).ok()) {
            log_error("virtio-net: no memory for a thread");
        }
    }
}

void network::on_config_change(void* context) {
    auto& self = *static_cast<network*>(context);
    self._config_changed.store(true, std::memory_order_release);
    self._pairs[0]->wake();
}

void network::look_at_link(void* context) {
    auto& self = *static_cast<network*>(context);
    if (self._config_changed.load(std::memory_order_relaxed) &&
        self._config_changed.exchange(false, std::memory_order_acquire)) {
        self.check_link();
    }
}

void network::check_link() {
    if (!_device.has(net_feature::status)) {
        return;
    }
    const bool up = (_device.config<u16>(config_status) & status_link_up) != 0;
    if (_link_up.exchange(up) != up && _receiver != nullptr) {
        _receiver->link_changed(up);
    }
}

}  // namespace

result<void> start_net(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    network* made = TRY(make_unique<network>(function)).leak();
    auto outcome = made->open();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    net::register_net_device(*made);
    return {};
}

}  // namespace kiln::virtio
