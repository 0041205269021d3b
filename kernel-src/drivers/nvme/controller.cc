// kernel only
#include "drivers/nvme/controller.hh"

#include <algorithm>

#include "core/log.hh"
#include "core/page.hh"
#include "drivers/dma.hh"
#include "drivers/mmio.hh"
#include "drivers/poll.hh"

namespace kiln::nvme {
namespace {

constexpr u64 admin_patience = 10 * ns_per_s, command_patience = 30 * ns_per_s;
// A command is given this often in all when resets come between.
constexpr u32 most_attempts = 3;

}  // namespace

// ---- setting up ----

result<void> controller::start() {
    TRY(map_registers());
    page* pages[3];
    for (page*& each : pages) {
        each = TRY(alloc_zeroed_page());
    }
    _admin_submission = page_data(*pages[0]);
    _admin_completion = page_data(*pages[1]);
    _identify_page = static_cast<std::byte*>(page_data(*pages[2]));
    TRY(_interrupts.init(_function));
    lock_guard guard(_reset_lock);
    return bring_up();
}

result<void> controller::map_registers() {
    volatile u8* head = TRY(pci::map_bar(_function, 0, 0, reg::doorbells));
    _capabilities.raw = mmio_read<u64>(head, reg::capabilities);
    if (!_capabilities.has_nvm_commands() || !_capabilities.has_4k_pages()) {
        log_warning("nvme: a controller without NVM commands or 4 KiB pages (CAP {:x})",
                    _capabilities.raw);
        return err::opnotsupp;
    }
    _stride = _capabilities.doorbell_stride();
    const usize doorbells = usize{2} * (most_queues + 1) * _stride;
    _registers = TRY(pci::map_bar(_function, 0, 0, reg::doorbells + doorbells));
    return {};
}

result<void> controller::wait_for_ready(bool ready) {
    const u64 patience = std::max<u64>(_capabilities.ready_timeout_ms(), 500) * ns_per_ms;
    u32 seen = 0;
    const bool reached = poll_until(
        [&] {
            seen = mmio_read<u32>(_registers, reg::status);
            return ((seen & state::ready) != 0) == ready || seen == state::gone;
        },
        patience);
    if (!reached || seen == state::gone || (ready && (seen & state::fatal) != 0)) {
        log_error("nvme{}: is not {} after {} ms (status {:x})", _number,
                  ready ? "ready" : "disabled", patience / ns_per_ms, seen);
        return err::io;
    }
    return {};
}

result<void> controller::disable() {
    mmio_write<u32>(_registers, reg::configuration, 0);
    return wait_for_ready(false);
}

// With pin interrupts the admin queue's would come at once and for ever, as nobody handles them.
void controller::set_interrupt_mask(bool masked) {
    if (!_interrupts.has_msix()) {
        mmio_write<u32>(_registers, masked ? reg::mask_set : reg::mask_clear, ~u32{0});
    }
}

result<void> controller::bring_up() {
    TRY(disable());
    __builtin_memset(_admin_submission, 0, page_size);
    __builtin_memset(_admin_completion, 0, page_size);
    const u32 entries = std::min(queue_pair::most_entries, _capabilities.most_entries());
    _admin.init(entries, _admin_submission, _admin_completion);
    mmio_write<u32>(_registers, reg::admin_sizes, (entries - 1) << 16 | (entries - 1));
    mmio_write<u64>(_registers, reg::admin_submission, dma_address(_admin_submission));
    mmio_write<u64>(_registers, reg::admin_completion, dma_address(_admin_completion));
    mmio_write<u32>(_registers, reg::configuration, config::entry_sizes | config::enable);
    TRY(wait_for_ready(true));
    set_interrupt_mask(true);
    TRY(identify(identify::controller, 0));
    _identity = TRY(read_controller(identify_page(_identify_page, page_size)));
    TRY(agree_on_queues());
    TRY(connect_interrupts());
    for (u32 i = 0; i < _queue_count; ++i) {
        TRY(create_queue(i));
    }
    set_interrupt_mask(false);
    return {};
}

volatile u8* controller::doorbell(u32 queue, bool of_completions) const {
    return _registers + reg::doorbells + (2 * queue + (of_completions ? 1 : 0)) * _stride;
}

// Returns the completion's result.
result<u32> controller::admin_command(command made) {
    const u32 tail = _admin.put(made);
    device_fence();
    mmio_write<u32>(doorbell(0, false), 0, tail);
    completion finished{};
    if (!poll_until([&] { return _admin.take(finished); }, admin_patience)) {
        log_error("nvme{}: has not answered admin command {:x} for {} s", _number, made.opcode,
                  admin_patience / ns_per_s);
        return err::io;
    }
    mmio_write<u32>(doorbell(0, true), 0, _admin.head());
    if (!finished.good()) {
        log_warning("nvme{}: refuses admin command {:x} (status {:x})", _number, made.opcode,
                    finished.code());
        return err::io;
    }
    return finished.result;
}

result<void> controller::identify(u32 what, u32 name_space) {
    command made{};
    made.opcode = static_cast<u8>(admin::identify);
    made.name_space = name_space;
    made.data[0] = dma_address(_identify_page);
    made.words[0] = what;
    TRY(admin_command(made));
    return {};
}

result<name_space_identity> controller::identify_name_space(u32 number) {
    lock_guard guard(_reset_lock);
    set_interrupt_mask(true);
    auto asked = identify(identify::name_space, number);
    set_interrupt_mask(false);
    TRY(std::move(asked));
    return read_name_space(identify_page(_identify_page, page_size));
}

// The admin queue has message 0 for itself where there are more.
u32 controller::messages_for_queues() const {
    return std::max(_interrupts.message_count(), 2u) - 1;
}

result<void> controller::agree_on_queues() {
    // Pins and plain MSI have one interrupt: one queue, so that it is clear whose it is.
    const u32 wanted = _interrupts.has_msix() ? std::min(cpu_count(), most_queues) : 1;
    command made{};
    made.opcode = static_cast<u8>(admin::set_features);
    made.words[0] = feature_queue_count;
    made.words[1] = (wanted - 1) << 16 | (wanted - 1);
    const u32 given = TRY(admin_command(made));
    const u32 count = std::min({wanted, (given & 0xffff) + 1, (given >> 16) + 1});
    if (_queue_count == 0) {
        for (; _queue_count < count; ++_queue_count) {
            TRY(_queues[_queue_count].allocate(_admin.entries()));
        }
    }
    // After a reset with fewer than before nobody could serve the threads that wait.
    return count >= _queue_count ? result<void>() : err::io;
}

result<void> controller::connect_interrupts() {
    const u32 wanted = std::min(_queue_count, messages_for_queues());
    for (; _connection_count < wanted; ++_connection_count) {
        connection& made = _connections[_connection_count];
        made.owner = this;
        made.first = _connection_count;
        const u32 message = _interrupts.message_count() > 1 ? _connection_count + 1 : 0;
        TRY(_interrupts.connect(message, &on_interrupt, &made, _connection_count % cpu_count()));
    }
    return {};
}

result<void> controller::create_queue(u32 index) {
    io_queue& made = _queues[index];
    made.clear();
    const u32 id = index + 1, size_and_id = (made.entries() - 1) << 16 | id;
    const u32 message = _interrupts.message_count() > 1 ? index % _connection_count + 1 : 0;
    command completions{};
    completions.opcode = static_cast<u8>(admin::create_completion);
    completions.data[0] = made.completion_address();
    completions.words[0] = size_and_id;
    completions.words[1] = message << 16 | queue_interrupts | queue_is_contiguous;
    TRY(admin_command(completions));
    command submissions{};
    submissions.opcode = static_cast<u8>(admin::create_submission);
    submissions.data[0] = made.submission_address();
    submissions.words[0] = size_and_id;
    submissions.words[1] = id << 16 | queue_is_contiguous;
    TRY(admin_command(submissions));
    made.open(doorbell(id, false), doorbell(id, true));
    return {};
}

// ---- running ----

void controller::on_interrupt(void* context) {
    auto& of = *static_cast<connection*>(context);
    controller& self = *of.owner;
    bool any = false;
    for (u32 i = of.first; i < self._queue_count; i += self._connection_count) {
        if (!self._queues[i].take_finished(any)) {
            self.distrust();
        }
    }
    if (self._interrupts.is_message() && of.watch.is_endless(any)) {
        self.switch_off();
    }
}

// In an interrupt handler.
void controller::switch_off() {
    log_error("nvme{}: interrupts without end; it is not used any more", _number);
    _given_up = true;
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
    distrust();
}

// In an interrupt handler: closes what could do harm. A waiter resets.
void controller::distrust() {
    _distrusted.store(true, std::memory_order_release);
    for (u32 i = 0; i < _queue_count; ++i) {
        _queues[i].close();
        _queues[i].fail_in_flight(io_queue::outcome::again);
    }
}

void controller::on_expiry(void* context) {
    static_cast<controller*>(context)->look_again();
}

// A command has taken long. The interrupt may be lost, or the controller dead; a slow one (a volume
// of a cloud may take minutes) is waited for.
void controller::look_again() {
    const u32 seen = _generation.load(std::memory_order_acquire);
    log_warning("nvme{}: has not answered for {} s", _number, command_patience / ns_per_s);
    for (u32 i = 0; i < _queue_count; ++i) {
        if (!_queues[i].take_finished()) {
            distrust();
        }
    }
    const u32 status = mmio_read<u32>(_registers, reg::status);
    if ((status & state::fatal) != 0 || (status & state::ready) == 0 || status == state::gone) {
        reset(seen);
    }
}

void controller::reset(u32 seen) {
    lock_guard guard(_reset_lock);
    if (_generation.load(std::memory_order_relaxed) != seen || _given_up) {
        return;
    }
    log_warning("nvme{}: is reset", _number);
    for (u32 i = 0; i < _queue_count; ++i) {
        _queues[i].close();
    }
    // Only when it is disabled does it leave the buffers alone; a device that cannot even be
    // disabled is cut off from memory.
    const bool quiet = disable().ok();
    if (!quiet) {
        _function.disable(pci::command::bus_master);
    }
    for (u32 i = 0; i < _queue_count; ++i) {
        _queues[i].fail_in_flight(io_queue::outcome::again);
    }
    if (!quiet || !bring_up().ok() || _given_up) {
        _given_up = true;
        distrust();
        _function.disable(pci::command::bus_master);
        log_error("nvme{}: cannot be reset; it is not used any more", _number);
    }
    _distrusted = false;
    _generation.fetch_add(1, std::memory_order_release);
}

result<void> controller::run(const command& made, std::span<const dma_piece> pieces) {
    const io_queue::patience waiting{command_patience, &on_expiry, this};
    for (u32 attempt = 0; attempt < most_attempts && !_given_up; ++attempt) {
        const u32 seen = _generation.load(std::memory_order_acquire);
        io_queue& queue = queue_of_this_cpu();
        switch (queue.run(made, pieces, waiting)) {
            case io_queue::outcome::good: return {};
            case io_queue::outcome::again: reset(seen); break;
            default:
                log_warning("nvme{}: command {:x} failed (status {:x})", _number, made.opcode,
                            queue.last_error());
                return err::io;
        }
    }
    return err::io;
}

}  // namespace kiln::nvme
