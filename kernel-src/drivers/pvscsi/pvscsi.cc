// kernel only
// VMware's paravirtual SCSI adapter as an adapter for SCSI disks. Its commands are done when their
// registers have been written, so there is nothing to wait for.
//
// One that makes numbers up, or does not answer for a minute, is reset, and its requests are given
// again. Locks: `_reset_lock`, then `_lock`, which the interrupt handler takes, then that of the slots.
#include <algorithm>
#include <bit>

#include "core/log.hh"
#include "core/mutex.hh"
#include "core/page.hh"
#include "drivers/block/request_slots.hh"
#include "drivers/dma.hh"
#include "drivers/mmio.hh"
#include "drivers/pci/pci.hh"
#include "drivers/pvscsi/drivers.hh"
#include "drivers/pvscsi/rings.hh"
#include "drivers/scsi/disk.hh"
#include "lib/ref.hh"

namespace kiln::pvscsi {
namespace {

constexpr u16 vmware = 0x15ad, device_number = 0x07c0;
constexpr u32 most_targets = 16, most_attempts = 3, most_resets = 20;
constexpr u64 command_patience = 30 * ns_per_s;
constexpr usize longest_transfer = 1 * MiB, list_entries = 64 + 2, sense_size = 96;

// What the device needs beside a request. Lies in DMA memory.
struct alignas(64) extra {
    list_element list[list_entries];
    u8 sense[sense_size];
};
constexpr usize extras_size = sizeof(extra) * rings::requests;

class adapter final : public scsi::adapter {
public:
    explicit adapter(pci::function& function) : _function(function) {}

    result<void> start();
    void switch_off();
    result<scsi::answer> execute(u32 target, const scsi::command_block& command,
                                 scsi::direction data, std::span<const dma_piece> pieces) override;
    transfer_limits limits() const override { return {.longest = longest_transfer}; }

private:
    using outcome = request_slots::outcome;

    static void on_interrupt(void* context);
    result<void> map_registers();
    void order(command what);
    void set_up();
    void take_finished();
    void distrust();
    request describe(u32 number, u32 target, const scsi::command_block& command,
                     scsi::direction data, std::span<const dma_piece> pieces);
    bool submit(const request& made);
    void wait_for(u32 number, u32 seen);
    void reset(u32 seen);
    scsi::answer read_answer(u32 number, u64 asked) const;

    pci::function& _function;
    pci::interrupt_source _interrupts;
    volatile u8* _registers = nullptr;
    irq_spinlock _lock;
    rings _rings;
    request_slots _slots;
    extra* _extras = nullptr;
    completion _answers[rings::requests]{};
    bool _open = false;
    mutex _reset_lock;
    std::atomic<u32> _generation{0};
    std::atomic<bool> _given_up{false};
};

// ---- setting up ----

result<void> adapter::map_registers() {
    for (u32 bar = 0; bar < pci::bars_of_a_device; ++bar) {
        if (_function.bar_is_io(bar)) {
            continue;
        }
        auto mapped = pci::map_bar(_function, bar, 0, reg::window_size);
        if (mapped.ok()) {
            _registers = mapped.value();
            return {};
        }
    }
    return err::nodev;
}

void adapter::order(command what) {
    mmio_write<u32>(_registers, reg::command, static_cast<u32>(what));
}

result<void> adapter::start() {
    TRY(_interrupts.init(_function));
    TRY(map_registers());
    void* pages[3];
    for (void*& each : pages) {
        page* made = TRY(alloc_zeroed_page());
        each = page_data(*made);
    }
    const usize extra_pages = align_up(extras_size, page_size) / page_size;
    page* extras = TRY(alloc_pages(static_cast<u32>(std::bit_width(extra_pages - 1))));
    _extras = static_cast<extra*>(page_data(*extras));
    __builtin_memset(static_cast<void*>(_extras), 0, extras_size);
    _rings.init(pages[0], pages[1], pages[2]);
    _slots.init(rings::requests);
    order(command::reset_adapter);
    TRY(_interrupts.connect(0, &on_interrupt, this, 0));
    _function.enable(pci::command::bus_master);
    set_up();
    return {};
}

void adapter::set_up() {
    ring_setup setup{};
    setup.request_pages = setup.completion_pages = 1;
    setup.state = dma_address(_rings.state()) >> page_shift;
    setup.requests[0] = dma_address(_rings.request_page()) >> page_shift;
    setup.completions[0] = dma_address(_rings.completion_page()) >> page_shift;
    u32 words[sizeof(setup) / sizeof(u32)];
    __builtin_memcpy(words, &setup, sizeof(setup));
    order(command::set_up_rings);
    for (const u32 word : words) {
        mmio_write<u32>(_registers, reg::command_data, word);
    }
    {
        irq_guard guard(_lock);
        _open = true;
    }
    mmio_write<u32>(_registers, reg::interrupt_mask, interrupt_completions);
}

void adapter::switch_off() {
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
}

// ---- requests ----

request adapter::describe(u32 number, u32 target, const scsi::command_block& command,
                          scsi::direction data, std::span<const dma_piece> pieces) {
    KILN_DEBUG_ASSERT(pieces.size() <= list_entries);
    extra& beside = _extras[number];
    request made{};
    made.context = number + 1;
    made.sense = dma_address(beside.sense);
    made.sense_length = sense_size;
    std::copy_n(command.bytes, command.size, made.command);
    made.command_length = command.size;
    made.tag = simple_queue_tag;
    made.target = static_cast<u8>(target);
    made.flags = data == scsi::direction::none          ? request_flag::no_data
                 : data == scsi::direction::from_device ? request_flag::to_host
                                                        : request_flag::to_device;
    for (usize i = 0; i < pieces.size(); ++i) {
        beside.list[i] = {pieces[i].address, pieces[i].length, 0};
        made.data_length += pieces[i].length;
    }
    if (pieces.size() == 1) {
        made.data = pieces[0].address;
    } else if (!pieces.empty()) {
        made.data = dma_address(beside.list);
        made.flags |= request_flag::list;
    }
    return made;
}

bool adapter::submit(const request& made) {
    const bool moves = (made.flags & request_flag::no_data) == 0;
    irq_guard guard(_lock);
    if (!_open) {
        return false;
    }
    _rings.put(made);
    device_fence();
    mmio_write<u32>(_registers, moves ? reg::kick_transfer : reg::kick_other, 0);
    return true;
}

// The interrupt may be lost, or the adapter dead.
void adapter::wait_for(u32 number, u32 seen) {
    for (u32 times = 1; !_slots.wait(number, deadline_after(command_patience)); ++times) {
        log_warning("pvscsi: has not answered for {} s", times * command_patience / ns_per_s);
        take_finished();
        if (times > 1 && _slots.in_flight(number)) {
            reset(seen);
        }
    }
}

scsi::answer adapter::read_answer(u32 number, u64 asked) const {
    const completion& given = _answers[number];
    constexpr u8 task_set_full = 0x28;
    scsi::answer made;
    switch (given.host_status) {
        case host_status::good:
        case host_status::linked:
        case host_status::linked_with_flag:
        case host_status::underrun:
        case host_status::data_run: made.status = static_cast<u8>(given.scsi_status); break;
        case host_status::sent_reset:
        case host_status::received_reset:
        case host_status::bus_reset:
        case host_status::aborted:
        case host_status::by_software: made.status = task_set_full; break;
        default: return made;
    }
    made.reached = true;
    // QEMU leaves the length at 0 where all was moved.
    const bool is_told = given.data_length != 0 || given.host_status == host_status::underrun ||
                         given.host_status == host_status::data_run;
    made.residual = is_told ? static_cast<u32>(asked - std::min(given.data_length, asked)) : 0;
    const usize size = std::min<usize>(given.sense_length, sense_size);
    made.why = scsi::read_sense(std::span(_extras[number].sense, size));
    return made;
}

result<scsi::answer> adapter::execute(u32 target, const scsi::command_block& command,
                                      scsi::direction data, std::span<const dma_piece> pieces) {
    for (u32 attempt = 0; attempt < most_attempts && !_given_up; ++attempt) {
        const u32 seen = _generation.load(std::memory_order_acquire);
        const u32 number = _slots.take();
        const request made = describe(number, target, command, data, pieces);
        outcome how = outcome::again;
        if (submit(made)) {
            wait_for(number, seen);
            how = _slots.outcome_of(number);
        }
        const scsi::answer given =
            how == outcome::good ? read_answer(number, made.data_length) : scsi::answer();
        _slots.release(number);
        if (how == outcome::good) {
            return given;
        }
        reset(seen);
    }
    return err::io;
}

// ---- completions and errors ----

void adapter::on_interrupt(void* context) {
    auto& self = *static_cast<adapter*>(context);
    const u32 causes = mmio_read<u32>(self._registers, reg::interrupt_status);
    if (causes != 0) {
        mmio_write<u32>(self._registers, reg::interrupt_status, causes);
        self.take_finished();
    }
}

void adapter::take_finished() {
    irq_guard guard(_lock);
    completion done{};
    while (_open && _rings.take(done)) {
        const u64 number = done.context - 1;
        if (number >= rings::requests || !_slots.in_flight(static_cast<u32>(number))) {
            distrust();
            return;
        }
        _answers[number] = done;
        (void)_slots.finish(static_cast<u32>(number), outcome::good);
    }
    if (_open && _rings.broken()) {
        distrust();
    }
}

// Under the lock: nothing is given to it any more. Those who waited reset.
void adapter::distrust() {
    _open = false;
    _slots.finish_all(outcome::again);
}

void adapter::reset(u32 seen) {
    lock_guard guard(_reset_lock);
    if (_generation.load(std::memory_order_relaxed) != seen || _given_up) {
        return;
    }
    _given_up = seen == most_resets;
    if (_given_up) {
        log_error("pvscsi: was reset {} times; it is not used any more", seen);
    } else {
        log_warning("pvscsi: is reset");
    }
    {
        irq_guard no_interrupts(_lock);
        _open = false;
    }
    // It forgets what it was given.
    order(command::reset_adapter);
    if (_given_up) {
        switch_off();
    }
    _slots.finish_all(outcome::again);
    if (!_given_up) {
        _rings.clear();
        set_up();
    }
    _generation.fetch_add(1, std::memory_order_release);
}

}  // namespace

bool takes(const pci::function& function) {
    return function.vendor() == vmware && function.device() == device_number;
}

result<void> start(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    adapter* made = TRY(make_unique<adapter>(function)).leak();
    auto outcome = made->start();
    if (!outcome.ok()) {
        made->switch_off();
        return outcome;
    }
    scsi::add_disks(*made, most_targets, "pvscsi");
    return {};
}

}  // namespace kiln::pvscsi
