// kernel only
// vmxnet3 as a network device of the stack: a queue for each CPU where there are interrupts enough.
//
// A command is done when its register has been written or read, so there is nothing to wait for.
// Locks: `_configuring`, around everything that uses the command register after start.
#include <algorithm>
#include <bit>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "drivers/mmio.hh"
#include "drivers/nic/network.hh"
#include "drivers/pci/pci.hh"
#include "drivers/vmxnet3/drivers.hh"
#include "drivers/vmxnet3/queue.hh"
#include "lib/vector.hh"

namespace kiln::vmxnet3 {
namespace {

constexpr u16 vmware = 0x15ad, device_number = 0x07b0;
constexpr u32 our_version = 0x0001'0000;
constexpr u32 guest_is_64_bit = 2, guest_is_like_linux = 1u << 2;
constexpr u8 adaptive_moderation = 8;
constexpr u32 queue_order = 3;  // pages of one queue's rings
constexpr usize spread_offset = 1024, queues_offset = 4096;
static_assert(queue::total_bytes <= page_size << queue_order);
static_assert(queues_offset + most_queues * (sizeof(transmit_queue) + sizeof(receive_queue)) <=
              2 * page_size);

class network final : public nic::network {
public:
    explicit network(pci::function& function) : nic::network("vmxnet3"), _function(function) {}

    result<void> open();
    void give_up();

private:
    struct side {
        network* of;
        queue rings;
        nic::queue_pair service;
    };

    static void on_message(void* context);
    static void on_line(void* context);
    void look_round(u32 number) override;
    result<void> restart() override;
    void switch_off() override;
    bool read_link() override { return (command_result(command::link) & 1) != 0; }

    u32 command_result(command what);
    void order(command what);
    result<void> agree_on_revision();
    void read_mac();
    void choose_queues();
    result<void> make_queues();
    result<void> connect();
    queue::interrupts interrupts_of(u32 number) const;
    void mask_interrupts();
    void describe();
    void describe_spread(shared_area& area);
    result<void> activate();
    void take_events();

    pci::function& _function;
    pci::interrupt_source _interrupts;
    volatile u8* _queue_registers = nullptr;
    volatile u8* _device_registers = nullptr;
    std::byte* _shared = nullptr;
    shared_area& area() { return *reinterpret_cast<shared_area*>(_shared); }
    u32 _queue_count = 1;
    bool _two_interrupts = false;
    bool _auto_mask = true;
    vector<unique<side>> _sides;
};

u32 network::command_result(command what) {
    order(what);
    return mmio_read<u32>(_device_registers, device_reg::command);
}

void network::order(command what) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    mmio_write<u32>(_device_registers, device_reg::command, static_cast<u32>(what));
}

result<void> network::open() {
    TRY(_interrupts.init(_function));
    _queue_registers = TRY(pci::map_bar(_function, 0, 0, queue_reg::window_size));
    _device_registers = TRY(pci::map_bar(_function, 1, 0, device_reg::window_size));
    order(command::reset);
    TRY(agree_on_revision());
    read_mac();
    page* memory = TRY(alloc_pages(1));
    _shared = static_cast<std::byte*>(page_data(*memory));
    choose_queues();
    TRY(make_queues());
    _function.enable(pci::command::bus_master);
    TRY(activate());
    set_link(read_link());
    return {};
}

result<void> network::agree_on_revision() {
    for (const u32 where : {device_reg::revision, device_reg::upt_revision}) {
        if ((mmio_read<u32>(_device_registers, where) & 1) == 0) {
            return err::opnotsupp;
        }
        mmio_write<u32>(_device_registers, where, 1);
    }
    return {};
}

void network::read_mac() {
    const u32 low = command_result(command::mac_low), high = command_result(command::mac_high);
    net::mac_address mac;
    __builtin_memcpy(mac.bytes, &low, 4);
    __builtin_memcpy(mac.bytes + 4, &high, 2);
    set_mac(mac);
    mmio_write<u32>(_device_registers, device_reg::mac_low, low);
    mmio_write<u32>(_device_registers, device_reg::mac_high, high & 0xffff);
}

// The device spreads flows over a power of two of queues.
void network::choose_queues() {
    constexpr u32 automatic_masks = 0;
    const u32 configuration = command_result(command::interrupt_configuration);
    _auto_mask = ((configuration >> 2) & 3) == automatic_masks;
    const u32 messages = _interrupts.has_msix()
                             ? std::min(_interrupts.message_count(), most_interrupts)
                             : 0;
    _two_interrupts = messages >= 2;
    const u32 possible = std::min({cpu_count(), std::max(messages / 2, 1u), most_queues});
    _queue_count = std::bit_floor(possible);
}

queue::interrupts network::interrupts_of(u32 number) const {
    if (!_two_interrupts) {
        return {0, 0};
    }
    return {static_cast<u8>(number * 2), static_cast<u8>(number * 2 + 1)};
}

result<void> network::make_queues() {
    for (u32 i = 0; i < _queue_count; ++i) {
        auto made = TRY(make_unique<side>());
        page* memory = TRY(alloc_pages(queue_order));
        auto* bytes = static_cast<std::byte*>(page_data(*memory));
        __builtin_memset(bytes, 0, queue::total_bytes);
        made->of = this;
        made->rings.init(bytes, i, _queue_count, interrupts_of(i), _queue_registers);
        TRY(_sides.push_back(std::move(made)));
    }
    const bool interrupts = connect().ok();
    for (const unique<side>& each : _sides) {
        TRY(add_queue(each->service, each->rings, interrupts));
    }
    return {};
}

result<void> network::connect() {
    if (!_two_interrupts) {
        const bool by_message = _interrupts.has_msix() || _interrupts.has_msi();
        // Line 0 is the timer's: the firmware has not connected this one.
        if (!by_message && _function.interrupt_line() == 0) {
            return err::nodev;
        }
        return _interrupts.connect(0, by_message ? &on_message : &on_line, _sides[0].get(), 0);
    }
    for (u32 i = 0; i < _queue_count; ++i) {
        const queue::interrupts mine = interrupts_of(i);
        TRY(_interrupts.connect(mine.received, &on_message, _sides[i].get(), i));
        TRY(_interrupts.connect(mine.sent, &on_message, _sides[i].get(), i));
    }
    return {};
}

void network::mask_interrupts() {
    for (u32 i = 0; i < most_interrupts; ++i) {
        mmio_write<u32>(_queue_registers, queue_reg::interrupt_mask + i * queue_reg::step, 1);
    }
}

void network::describe() {
    __builtin_memset(_shared, 0, 2 * page_size);
    shared_area& to = area();
    to.magic = shared_magic;
    to.driver_version = our_version;
    to.guest = guest_is_64_bit | guest_is_like_linux;
    to.revisions = to.upt_revisions = 1;
    to.features = offload_feature::receive_checksum;
    to.driver_data = virt_to_phys(_shared);
    to.driver_data_length = sizeof(shared_area);
    to.queues = virt_to_phys(_shared + queues_offset);
    to.queues_length =
        _queue_count * static_cast<u32>(sizeof(transmit_queue) + sizeof(receive_queue));
    to.mtu = mtu();
    to.transmit_queues = to.receive_queues = static_cast<u8>(_queue_count);
    to.auto_mask = _auto_mask ? 1 : 0;
    to.interrupts = static_cast<u8>(_two_interrupts ? _queue_count * 2 : 1);
    std::fill(std::begin(to.moderation), std::end(to.moderation), adaptive_moderation);
    to.receive_mode = receive_mode::unicast | receive_mode::multicast | receive_mode::broadcast |
                      receive_mode::all_multicast;
    to.vlan_filter[0] = 1;  // what has no tag
    if (_queue_count > 1) {
        describe_spread(to);
    }
    auto* sends = reinterpret_cast<transmit_queue*>(_shared + queues_offset);
    auto* receives = reinterpret_cast<receive_queue*>(sends + _queue_count);
    for (u32 i = 0; i < _queue_count; ++i) {
        _sides[i]->rings.describe(sends[i], receives[i]);
    }
}

// A key of equal halves puts both directions of a flow on one queue.
void network::describe_spread(shared_area& to) {
    auto& rules = *reinterpret_cast<spread_area*>(_shared + spread_offset);
    to.features |= offload_feature::spread;
    to.spread = {1, sizeof(spread_area), virt_to_phys(&rules)};
    rules.hashes = spread::all_hashes;
    rules.function = spread::toeplitz;
    rules.key_size = sizeof(rules.key);
    rules.table_size = spread::table_size;
    for (usize i = 0; i < sizeof(rules.key); ++i) {
        rules.key[i] = i % 2 == 0 ? 0x6d : 0x5a;
    }
    for (u32 i = 0; i < spread::table_size; ++i) {
        rules.table[i] = static_cast<u8>(i % _queue_count);
    }
}

// The device is in the state of a reset.
result<void> network::activate() {
    describe();
    for (const unique<side>& each : _sides) {
        (void)each->rings.refill();
    }
    const u64 place = virt_to_phys(_shared);
    mmio_write<u32>(_device_registers, device_reg::shared_low, static_cast<u32>(place));
    mmio_write<u32>(_device_registers, device_reg::shared_high, static_cast<u32>(place >> 32));
    if (command_result(command::activate) != 0) {
        return err::io;
    }
    mask_interrupts();
    order(command::update_vlan_filter);
    order(command::update_receive_mode);
    for (const unique<side>& each : _sides) {
        each->rings.announce_buffers();
    }
    return {};
}

void network::give_up() {
    if (_device_registers != nullptr) {
        order(command::reset);
    }
    _function.disable(pci::command::bus_master);
}

void network::on_message(void* context) {
    auto& mine = *static_cast<side*>(context);
    network& self = *mine.of;
    if (!self._auto_mask) {
        self.mask_interrupts();
    }
    if (!mine.service.wake_by_interrupt()) {
        self._interrupts.silence();
    }
}

// Reading the cause takes it back.
void network::on_line(void* context) {
    auto& mine = *static_cast<side*>(context);
    if (mmio_read<u32>(mine.of->_device_registers, device_reg::interrupt_cause) != 0) {
        on_message(context);
    }
}

void network::look_round(u32 number) {
    if (number == 0 && __atomic_load_n(&area().events, __ATOMIC_RELAXED) != 0) {
        take_events();
    }
}

void network::take_events() {
    lock_guard guard(_configuring);
    const u32 events = __atomic_load_n(&area().events, __ATOMIC_RELAXED);
    mmio_write<u32>(_device_registers, device_reg::event_cause, events);
    if ((events & event::link) != 0) {
        set_link(read_link());
    }
}

result<void> network::restart() {
    order(command::reset);
    for (const unique<side>& each : _sides) {
        each->rings.clear();
    }
    return activate();
}

void network::switch_off() {
    order(command::reset);
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
}

}  // namespace

bool takes(const pci::function& function) {
    return function.vendor() == vmware && function.device() == device_number;
}

result<void> start(pci::function& function) {
    return nic::add_card<network>(function);
}

}  // namespace kiln::vmxnet3
