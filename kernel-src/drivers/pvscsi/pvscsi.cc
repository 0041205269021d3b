// kernel only
// VMware's paravirtual SCSI adapter as an adapter for SCSI disks. Its commands are done when their
// registers have been written, so there is nothing to wait for. What it has in common with others,
// time-outs and resets too, is drivers/scsi/queued_adapter.hh.
#include <algorithm>
#include <bit>

#include "core/page.hh"
#include "drivers/dma.hh"
#include "drivers/mmio.hh"
#include "drivers/pci/pci.hh"
#include "drivers/pvscsi/drivers.hh"
#include "drivers/pvscsi/rings.hh"
#include "drivers/scsi/queued_adapter.hh"
#include "lib/assert.hh"
#include "lib/ref.hh"

namespace kiln::pvscsi {
namespace {

constexpr u16 vmware = 0x15ad, device_number = 0x07c0;
constexpr u32 most_targets = 16;
constexpr usize longest_transfer = 1 * MiB, list_entries = 64 + 2, sense_size = 96;

// What the device needs beside a request. Lies in DMA memory.
struct alignas(64) extra {
    list_element list[list_entries];
    u8 sense[sense_size];
};
constexpr usize extras_size = sizeof(extra) * rings::requests;

class adapter final : public scsi::queued_adapter {
public:
    explicit adapter(pci::function& function) : queued_adapter("pvscsi"), _function(function) {}

    result<void> start();
    void cut_off() override;
    transfer_limits limits() const override { return {.longest = longest_transfer}; }

private:
    static void on_interrupt(void* context);
    void order(command what);
    u64 describe(u32 number, u32 target, const scsi::command_block& command, scsi::direction data,
                 std::span<const dma_piece> pieces) override;
    void give(u32 number) override;
    bool take_answers() override;
    scsi::answer read_answer(u32 number, u64 asked) const override;
    bool quieten() override;
    result<void> bring_up() override;

    pci::function& _function;
    pci::interrupt_source _interrupts;
    volatile u8* _registers = nullptr;
    rings _rings;
    extra* _extras = nullptr;
    request _requests[rings::requests]{};
    completion _answers[rings::requests]{};
};

// ---- setting up ----

void adapter::order(command what) {
    mmio_write<u32>(_registers, reg::command, static_cast<u32>(what));
}

result<void> adapter::start() {
    TRY(_interrupts.init(_function));
    _registers = TRY(pci::map_first_memory_bar(_function, reg::window_size));
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
    order(command::reset_adapter);
    TRY(_interrupts.connect(0, &on_interrupt, this, 0));
    _function.enable(pci::command::bus_master);
    return open(rings::requests);
}

result<void> adapter::bring_up() {
    _rings.clear();
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
    mmio_write<u32>(_registers, reg::interrupt_mask, interrupt_completions);
    return {};
}

// It forgets what it was given.
bool adapter::quieten() {
    order(command::reset_adapter);
    return true;
}

void adapter::cut_off() {
    _function.disable(pci::command::bus_master);
    _interrupts.silence();
}

// ---- requests ----

u64 adapter::describe(u32 number, u32 target, const scsi::command_block& command,
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
    _requests[number] = made;
    return made.data_length;
}

void adapter::give(u32 number) {
    const request& made = _requests[number];
    const bool moves = (made.flags & request_flag::no_data) == 0;
    _rings.put(made);
    device_fence();
    mmio_write<u32>(_registers, moves ? reg::kick_transfer : reg::kick_other, 0);
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

// ---- completions ----

void adapter::on_interrupt(void* context) {
    auto& self = *static_cast<adapter*>(context);
    const u32 causes = mmio_read<u32>(self._registers, reg::interrupt_status);
    if (causes != 0) {
        mmio_write<u32>(self._registers, reg::interrupt_status, causes);
    }
    if (causes != 0 || self._interrupts.is_message()) {
        self.on_own_interrupt();
    }
}

bool adapter::take_answers() {
    completion done{};
    while (_rings.take(done)) {
        const u64 number = done.context - 1;
        if (number >= rings::requests || !in_flight(static_cast<u32>(number))) {
            return false;
        }
        _answers[number] = done;
        finish(static_cast<u32>(number));
    }
    return !_rings.broken();
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
        made->cut_off();
        return outcome;
    }
    scsi::add_disks(*made, most_targets, "pvscsi");
    return {};
}

}  // namespace kiln::pvscsi
