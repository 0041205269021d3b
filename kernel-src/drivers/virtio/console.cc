// kernel only
// virtio-console with several ports (VIRTIO 1.2, 5.3): the control queue, on which the device names
// its ports and says which the host has open, and the ports that Kiln knows by name.
//
// The conversation runs by itself in the interrupt handler (the messages are 8 bytes and few);
// finish_consoles waits until the device has answered everything. Lock: `_lock`, before a port's.
#include "core/console.hh"

#include <algorithm>
#include <string_view>

#include "core/log.hh"
#include "core/page.hh"
#include "drivers/virtio/console_port.hh"
#include "drivers/virtio/drivers.hh"
#include "lib/vector.hh"

namespace kiln::virtio {
namespace {

constexpr u64 feature_multiport = u64{1} << 1;
constexpr u32 config_port_total = 4;
constexpr u16 control_receive_index = 2, control_transmit_index = 3;
constexpr u16 control_entries = 64;
constexpr u32 most_ports = 16;
// A device that does not answer must not hold up the boot for ever. Without the ports all goes to the
// serial console, where whoever waits at a port hears nothing: so not before a busy host has had its
// time.
constexpr u64 longest_conversation = 30 * ns_per_s;

enum class event : u16 {
    device_ready = 0, port_add = 1, port_remove = 2, port_ready = 3, console_port = 4, resize = 5,
    port_open = 6, port_name = 7,
};

struct control_message {
    u32 port;
    u16 event;
    u16 value;
};

// 64 of them and 64 messages to send fill a page. The names we look for fit.
struct received_message {
    control_message head;
    char name[48];
};

struct control_memory {
    received_message received[control_entries];
    control_message sent[control_entries];
};
static_assert(sizeof(control_memory) <= page_size);

struct known_port {
    std::string_view name;
    byte_port* console_ports::*role;
    u32 receive_pages;
    u32 transmit_pages;
};
constexpr known_port known_ports[] = {
    {"kiln.stdin", &console_ports::standard_input, 8, 0},
    {"kiln.stdout", &console_ports::standard_output, 0, 8},
    {"kiln.stderr", &console_ports::standard_error, 0, 4},
    {"kiln.log", &console_ports::log, 0, 4},
    {"kiln.control", &console_ports::control, 2, 2},
};

struct port_slot {
    console_port port;
    const known_port* known = nullptr;
    bool added = false;
};

class console {
public:
    explicit console(unique<transport> by) : _device(std::move(by)) {}

    result<void> start();
    void give_up() { _device.fail(); }
    // Waits for the end of the conversation and puts the ports to use.
    void finish();

    console* next = nullptr;

private:
    static void on_interrupt(void* context) { static_cast<console*>(context)->handle_interrupt(); }
    void handle_interrupt();
    void converse();
    void handle_message(const received_message& message, usize name_size);
    void send(u32 port, event what, u16 value);
    void offer(received_message& empty);
    result<void> add_ports(u32 total, u16 message);
    void use(port_slot& named, u32 number);

    device _device;
    irq_spinlock _lock;
    wait_queue _settled_queue;
    queue _control_receive;
    queue _control_transmit;
    doorbell _receive_doorbell;
    doorbell _transmit_doorbell;
    control_memory* _memory = nullptr;
    u64 _sent_free = ~u64{0};
    bool _settled = false;
    vector<unique<port_slot>> _ports;
};

u16 receive_index(u32 port) {
    return static_cast<u16>(port == 0 ? 0 : 2 + 2 * port);
}

result<void> console::start() {
    TRY(_device.begin(feature_multiport));
    if (!_device.has(feature_multiport)) {
        return err::opnotsupp;
    }
    const u32 total = std::min(_device.config<u32>(config_port_total), most_ports);
    const u16 message = TRY(_device.connect(&on_interrupt, this, 0));
    TRY(add_ports(total, message));
    _receive_doorbell = TRY(
        _device.add_queue(control_receive_index, _control_receive, control_entries, message));
    _transmit_doorbell = TRY(
        _device.add_queue(control_transmit_index, _control_transmit, control_entries, message));
    page* memory = TRY(alloc_page());
    _memory = static_cast<control_memory*>(page_data(*memory));
    _device.start();
    irq_guard guard(_lock);
    const usize usable = std::min<usize>(control_entries, _control_receive.size());
    for (usize i = 0; i < usable; ++i) {
        offer(_memory->received[i]);
    }
    if (_control_receive.publish()) {
        _receive_doorbell.ring();
    }
    send(0, event::device_ready, 1);
    return {};
}

result<void> console::add_ports(u32 total, u16 message) {
    TRY(_ports.reserve(total));
    for (u32 i = 0; i < total; ++i) {
        auto made = TRY(make_unique<port_slot>());
        console_port& port = made->port;
        const u16 index = receive_index(i);
        const doorbell receive = TRY(
            _device.add_queue(index, port.receive_queue(), console_port::queue_entries, message));
        const doorbell transmit =
            TRY(_device.add_queue(static_cast<u16>(index + 1), port.transmit_queue(),
                                  console_port::queue_entries, message));
        port.set_doorbells(receive, transmit);
        TRY(_ports.push_back(std::move(made)));
    }
    return {};
}

void console::offer(received_message& empty) {
    const segment into{dma_address(&empty), sizeof(received_message), true};
    (void)_control_receive.add({&into, 1}, &empty);
}

void console::send(u32 port, event what, u16 value) {
    if (_sent_free == 0) {
        return;
    }
    const u32 index = static_cast<u32>(__builtin_ctzll(_sent_free));
    control_message& message = _memory->sent[index];
    message = {port, static_cast<u16>(what), value};
    const segment part{dma_address(&message), sizeof(message), false};
    if (!_control_transmit.add({&part, 1}, &message).ok()) {
        return;
    }
    _sent_free &= ~(u64{1} << index);
    _settled = false;
    if (_control_transmit.publish()) {
        _transmit_doorbell.ring();
    }
}

void console::handle_message(const received_message& message, usize name_size) {
    // Once: the device may write it again at any time.
    const u32 number = __atomic_load_n(&message.head.port, __ATOMIC_RELAXED);
    if (number >= _ports.size()) {
        return;
    }
    port_slot& of = *_ports[number];
    switch (static_cast<event>(message.head.event)) {
        case event::port_add:
            if (!of.added) {
                of.added = true;
                send(number, event::port_ready, 1);
            }
            break;
        case event::port_name: {
            std::string_view name(message.name, name_size);
            name = name.substr(0, name.find('\0'));
            for (const known_port& each : known_ports) {
                of.known = each.name == name ? &each : of.known;
            }
            break;
        }
        case event::port_open:
            of.port.set_host_open(message.head.value != 0);
            break;
        case event::port_remove:
            of.port.set_host_open(false);
            break;
        default:
            break;
    }
}

// The device answers a message before it gives it back. So when all that was sent has come back,
// and taking in what has arrived by then makes us send nothing new, everything has been said.
void console::converse() {
    queue::completion done;
    while (_control_transmit.take(done)) {
        _sent_free |= u64{1} << (static_cast<control_message*>(done.token) - _memory->sent);
    }
    _settled = _control_transmit.in_flight() == 0;
    while (_control_receive.take(done)) {
        auto* message = static_cast<received_message*>(done.token);
        if (done.length >= sizeof(control_message)) {
            const usize name_size = std::min<usize>(done.length - sizeof(control_message),
                                                    sizeof(message->name));
            handle_message(*message, name_size);
        }
        offer(*message);
    }
    if (_control_receive.publish()) {
        _receive_doorbell.ring();
    }
}

void console::handle_interrupt() {
    bool settled;
    {
        irq_guard guard(_lock);
        if (_memory == nullptr) {
            return;
        }
        converse();
        settled = _settled;
    }
    if (settled) {
        _settled_queue.wake_all();
    }
    for (unique<port_slot>& each : _ports) {
        each->port.on_interrupt();
    }
}

void console::use(port_slot& named, u32 number) {
    byte_port*& role = the_console().*(named.known->role);
    if (role != nullptr) {
        return;  // two ports of one name: the first has it
    }
    auto outcome = named.port.attach(named.known->receive_pages, named.known->transmit_pages);
    if (!outcome.ok()) {
        log_warning("virtio-console: no memory for port {}", named.known->name);
        return;
    }
    irq_guard guard(_lock);
    send(number, event::port_open, 1);
    role = &named.port;
}

void console::finish() {
    auto settled = [this] {
        irq_guard guard(_lock);
        return _settled;
    };
    auto outcome = wait_until(_settled_queue, settled, deadline_after(longest_conversation),
                              wait_mode::uninterruptible);
    if (!outcome.ok()) {
        log_warning("virtio-console: the device has not answered for {} s",
                    longest_conversation / ns_per_s);
    }
    for (u32 i = 0; i < _ports.size(); ++i) {
        if (_ports[i]->known != nullptr) {
            use(*_ports[i], i);
        }
    }
}

constinit console* consoles = nullptr;

}  // namespace

result<void> start_console(unique<transport> by) {
    // Never freed: from here on its interrupt handler may run.
    console* made = TRY(make_unique<console>(std::move(by))).leak();
    auto outcome = made->start();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    made->next = consoles;
    consoles = made;
    return {};
}

void finish_consoles() {
    for (console* each = consoles; each != nullptr; each = each->next) {
        each->finish();
    }
}

}  // namespace kiln::virtio
