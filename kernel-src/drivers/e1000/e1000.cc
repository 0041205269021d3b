// kernel only
// Intel gigabit Ethernet as a network device of the stack: one pair of rings, by message or by line.
#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "drivers/e1000/drivers.hh"
#include "drivers/e1000/hardware.hh"
#include "drivers/e1000/rings.hh"
#include "drivers/nic/queue_pair.hh"
#include "drivers/nic/reset_limit.hh"
#include "drivers/pci/pci.hh"

namespace kiln::e1000 {
namespace {

constexpr u16 intel = 0x8086;

struct model {
    u16 device;
    bool newer;  // as the 82574
};

// The 8254x that emulators have, and the 82574L.
constexpr model models[] = {
    {0x100e, false},  // 82540EM: QEMU, VirtualBox
    {0x100f, false},  // 82545EM: VMware's e1000, VirtualBox
    {0x1004, false},  // 82543GC: VirtualBox
    {0x10d3, true},   // 82574L: e1000e of QEMU and VMware
};

const model* model_of(const pci::function& function) {
    for (const model& each : models) {
        if (function.vendor() == intel && function.device() == each.device) {
            return &each;
        }
    }
    return nullptr;
}

class network final : public net::net_device, nic::card {
public:
    network(pci::function& function, const model& is) : _function(function), _model(is) {}

    result<void> open();
    void give_up();

    net::mac_address mac() const override { return _mac; }
    u32 mtu() const override { return 1500; }
    u32 features() const override {
        return net::device_feature::transmit_checksum | net::device_feature::tso4;
    }
    bool link_up() const override { return _link_up.load(std::memory_order_relaxed); }
    net::device_counters counters() const override;
    void transmit(net::packet_ptr frame, bool more) override {
        _queue.transmit(std::move(frame), more);
    }
    void start(net::net_receiver& receiver) override;

private:
    static void on_interrupt(void* context);
    void look_round(u32 queue) override;
    bool recover(nic::trouble what) override;
    result<void> connect();
    void set_link(bool up);
    result<void> restart();

    pci::function& _function;
    const model& _model;
    pci::interrupt_source _interrupts;
    bool _line_is_shared = true;
    hardware _hardware;
    rings _rings;
    nic::queue_pair _queue;
    net::mac_address _mac{};
    nic::reset_limit _resets;
    std::atomic<bool> _link_up{true};
    std::atomic<bool> _link_changed{false};
    net::net_receiver* _receiver = nullptr;
};

result<void> network::open() {
    TRY(_interrupts.init(_function));
    _hardware.init(TRY(pci::map_bar(_function, 0, 0, reg::window_size)), _model.newer);
    TRY(_hardware.reset());
    _mac = TRY(_hardware.read_mac());
    static_assert(2 * rings::ring_bytes == page_size * 2);
    page* memory = TRY(alloc_pages(1));
    __builtin_memset(page_data(*memory), 0, 2 * rings::ring_bytes);
    // With messages the 82574 has causes of its own for its queues.
    const u32 queue = _model.newer ? cause::receive_queue_0 | cause::other : 0;
    _rings.init(static_cast<std::byte*>(page_data(*memory)), _hardware.registers(),
                cause::received | cause::link | queue,
                cause::sent | (_model.newer ? cause::transmit_queue_0 : 0));
    const bool interrupts = connect().ok();
    if (!interrupts) {
        log_warning("e1000: no interrupt can be had; the card is looked at every millisecond");
    }
    _queue.init(_rings, *this, 0, interrupts);
    _function.enable(pci::command::bus_master);
    _rings.program();
    _hardware.enable(_mac);
    _link_up = _hardware.link_up();
    return {};
}

result<void> network::connect() {
    // Line 0 is the timer's: the firmware has not connected this one.
    const bool by_message = _interrupts.has_msix() || _interrupts.has_msi();
    if (!by_message && _function.interrupt_line() == 0) {
        return err::nodev;
    }
    _line_is_shared = !by_message;
    if (_interrupts.has_msix()) {
        _hardware.use_message_0();
    }
    return _interrupts.connect(0, &on_interrupt, this, 0);
}

void network::give_up() {
    _function.disable(pci::command::bus_master);
}

net::device_counters network::counters() const {
    net::device_counters sum{};
    _queue.add_counters(sum);
    return sum;
}

void network::start(net::net_receiver& receiver) {
    _receiver = &receiver;
    if (!_queue.start("e1000", receiver, max_cpus).ok()) {
        log_error("e1000: no memory for a thread");
    }
}

void network::on_interrupt(void* context) {
    auto& self = *static_cast<network*>(context);
    const u32 causes = self._hardware.take_causes(self._line_is_shared);
    if (causes == 0 && self._line_is_shared) {
        return;
    }
    if ((causes & cause::link) != 0) {
        self._link_changed.store(true, std::memory_order_relaxed);
    }
    if (!self._queue.wake_by_interrupt()) {
        self._interrupts.silence();
    }
}

void network::look_round(u32) {
    if (_link_changed.load(std::memory_order_relaxed) && _link_changed.exchange(false)) {
        set_link(_hardware.link_up());
    }
}

void network::set_link(bool up) {
    if (_link_up.exchange(up) != up) {
        _receiver->link_changed(up);
    }
}

// The device is stopped, and no thread touches the rings.
result<void> network::restart() {
    TRY(_hardware.reset());
    _rings.clear();
    if (_interrupts.has_msix()) {
        _hardware.use_message_0();
    }
    _rings.program();
    _hardware.enable(_mac);
    return {};
}

bool network::recover(nic::trouble what) {
    _queue.pause();
    const bool may_try = what == nic::trouble::not_sending && _resets.may_try(now());
    if (may_try && restart().ok()) {
        log_warning("e1000: {}; it was reset", nic::sentence_of(what));
        _queue.resume();
        set_link(_hardware.link_up());
        return true;
    }
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
    log_error("e1000: {}; it is not used any more", nic::sentence_of(what));
    set_link(false);
    return false;
}

}  // namespace

bool takes(const pci::function& function) {
    return model_of(function) != nullptr;
}

result<void> start(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    network* made = TRY(make_unique<network>(function, *model_of(function))).leak();
    auto outcome = made->open();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    net::register_net_device(*made);
    return {};
}

}  // namespace kiln::e1000
