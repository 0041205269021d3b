// kernel only
// Intel gigabit Ethernet as a network device of the stack: one pair of rings, by message or by line.
#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "drivers/e1000/drivers.hh"
#include "drivers/e1000/hardware.hh"
#include "drivers/e1000/rings.hh"
#include "drivers/nic/network.hh"
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

class network final : public nic::network {
public:
    network(pci::function& function, const model& is)
        : nic::network("e1000"), _function(function), _model(is) {}

    result<void> open();
    void give_up() { _function.disable(pci::command::bus_master); }

private:
    static void on_interrupt(void* context);
    void look_round(u32 queue) override;
    result<void> restart() override;
    void switch_off() override;
    bool read_link() override { return _hardware.link_up(); }
    result<void> connect();

    pci::function& _function;
    const model& _model;
    pci::interrupt_source _interrupts;
    bool _line_is_shared = true;
    hardware _hardware;
    rings _rings;
    nic::queue_pair _queue;
    std::atomic<bool> _link_changed{false};
};

result<void> network::open() {
    TRY(_interrupts.init(_function));
    _hardware.init(TRY(pci::map_bar(_function, 0, 0, reg::window_size)), _model.newer);
    TRY(_hardware.reset());
    set_mac(TRY(_hardware.read_mac()));
    static_assert(2 * rings::ring_bytes == page_size * 2);
    page* memory = TRY(alloc_pages(1));
    __builtin_memset(page_data(*memory), 0, 2 * rings::ring_bytes);
    // With messages the 82574 has causes of its own for its queues.
    const u32 queue = _model.newer ? cause::receive_queue_0 | cause::other : 0;
    _rings.init(static_cast<std::byte*>(page_data(*memory)), _hardware.registers(),
                cause::received | cause::link | queue,
                cause::sent | (_model.newer ? cause::transmit_queue_0 : 0));
    TRY(add_queue(_queue, _rings, connect().ok()));
    _function.enable(pci::command::bus_master);
    _rings.program();
    _hardware.enable(mac());
    set_link(read_link());
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
        set_link(read_link());
    }
}

result<void> network::restart() {
    TRY(_hardware.reset());
    _rings.clear();
    if (_interrupts.has_msix()) {
        _hardware.use_message_0();
    }
    _rings.program();
    _hardware.enable(mac());
    return {};
}

void network::switch_off() {
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
}

}  // namespace

bool takes(const pci::function& function) {
    return model_of(function) != nullptr;
}

result<void> start(pci::function& function) {
    return nic::add_card<network>(function, *model_of(function));
}

}  // namespace kiln::e1000
