// kernel only
// virtio-scsi (VIRTIO 1.2, 5.6): an adapter for SCSI disks. The queues for task management and for
// events are there, as the device wants them, and not used. An adapter at fault is reset
// (commander.hh).
#include <algorithm>
#include <bit>

#include "core/log.hh"
#include "core/page.hh"
#include "drivers/scsi/disk.hh"
#include "drivers/virtio/commander.hh"
#include "drivers/virtio/drivers.hh"

namespace kiln::virtio {
namespace {

constexpr u16 control_queue = 0, event_queue = 1, request_queue = 2;
constexpr u16 queue_entries = 256, spare_entries = 4;
constexpr u32 config_segment_max = 4, config_sector_max = 8, config_target_max = 30;
// Each costs a question at boot.
constexpr u32 most_targets = 16;
constexpr usize longest_transfer = 1 * MiB;
constexpr usize command_size = 32, sense_size = 96;

struct [[gnu::packed]] request_header {
    u8 unit[8];
    u64 tag;
    u8 attribute;
    u8 priority;
    u8 reference;
    u8 command[command_size];
};
static_assert(sizeof(request_header) == 51);

struct [[gnu::packed]] response_header {
    u32 sense_length;
    u32 residual;
    u16 qualifier;
    u8 status;
    u8 response;
    u8 sense[sense_size];
};
static_assert(sizeof(response_header) == 108);

namespace response {
constexpr u8 ok = 0, overrun = 1, reset = 4, busy = 5, none = 0xff;
}

// What the device needs beside the data. Lies in DMA memory.
struct alignas(64) request {
    response_header answer;
    request_header header;
};
constexpr usize requests_size = sizeof(request) * command_queue::most_requests;

class adapter final : public scsi::adapter {
public:
    explicit adapter(unique<transport> by) : _commander("virtio-scsi", std::move(by)) {}

    result<void> start();
    void give_up() { _commander.give_up(); }
    u32 targets() { return _targets; }

    result<scsi::answer> execute(u32 target, const scsi::command_block& command,
                                 scsi::direction data, std::span<const dma_piece> pieces) override;
    transfer_limits limits() const override { return _limits; }

private:
    result<void> add_spare(u16 index, queue& made);
    void read_limits();
    static usize describe(request& made, u32 target, const scsi::command_block& command,
                          scsi::direction data, std::span<const dma_piece> pieces,
                          segment* segments);
    static scsi::answer read_answer(const request& answered);

    commander _commander;
    queue _control, _events;
    request* _requests = nullptr;
    transfer_limits _limits;
    u32 _targets = 1;
};

result<void> adapter::add_spare(u16 index, queue& made) {
    TRY(_commander.device().add_queue(index, made, spare_entries, no_message));
    return _commander.also_restart(made);
}

result<void> adapter::start() {
    device& of = _commander.device();
    TRY(of.begin(0));
    TRY(add_spare(control_queue, _control));
    TRY(add_spare(event_queue, _events));
    TRY(_commander.open(request_queue, queue_entries));
    page* requests = TRY(alloc_pages(
        static_cast<u32>(std::bit_width(align_up(requests_size, page_size) / page_size - 1))));
    _requests = static_cast<request*>(page_data(*requests));
    __builtin_memset(static_cast<void*>(_requests), 0, requests_size);
    read_limits();
    of.start();
    return {};
}

void adapter::read_limits() {
    device& of = _commander.device();
    const usize ring = _commander.queue_size();
    const usize segments = std::min<usize>(of.config<u32>(config_segment_max), ring - 2);
    const u64 bytes = u64{of.config<u32>(config_sector_max)} * 512;
    // Two for the ragged ends of a read.
    _limits.most_pieces = std::clamp<usize>(segments, 3, 66) - 2;
    _limits.longest = std::clamp<usize>(align_down(bytes, page_size), page_size, longest_transfer);
    _targets = std::min<u32>(of.config<u16>(config_target_max) + 1u, most_targets);
}

// Single-level addressing: one, the target, and the logical unit 0 (5.6.6.1).
usize adapter::describe(request& made, u32 target, const scsi::command_block& command,
                        scsi::direction data, std::span<const dma_piece> pieces,
                        segment* segments) {
    made = {};
    made.answer.response = response::none;
    made.header.unit[0] = 1;
    made.header.unit[1] = static_cast<u8>(target);
    made.header.unit[2] = 0x40;
    std::copy_n(command.bytes, command.size, made.header.command);
    const bool writes = data == scsi::direction::to_device;
    usize count = 0;
    auto add_data = [&] {
        for (const dma_piece& piece : pieces) {
            segments[count++] = {piece.address, piece.length, !writes};
        }
    };
    segments[count++] = {dma_address(&made.header), sizeof(request_header), false};
    if (writes) {
        add_data();
    }
    segments[count++] = {dma_address(&made.answer), sizeof(response_header), true};
    if (!writes) {
        add_data();
    }
    return count;
}

scsi::answer adapter::read_answer(const request& answered) {
    const response_header given = answered.answer;
    constexpr u8 task_set_full = 0x28;
    scsi::answer made;
    made.reached = given.response == response::ok || given.response == response::overrun ||
                   given.response == response::reset || given.response == response::busy;
    made.status = given.response == response::ok || given.response == response::overrun
                      ? given.status
                      : task_set_full;
    made.residual = given.residual;
    const usize size = std::min<usize>(given.sense_length, sense_size);
    made.why = scsi::read_sense(std::span(answered.answer.sense, size));
    return made;
}

result<scsi::answer> adapter::execute(u32 target, const scsi::command_block& command,
                                      scsi::direction data, std::span<const dma_piece> pieces) {
    scsi::answer given;
    TRY(_commander.run(
        [&](u32 number, segment* segments) {
            return describe(_requests[number], target, command, data, pieces, segments);
        },
        [&](u32 number) {
            given = read_answer(_requests[number]);
            return result<void>();
        }));
    return given;
}

}  // namespace

result<void> start_scsi(unique<transport> by) {
    // Never freed: from here on its interrupt handler may run.
    adapter* made = TRY(make_unique<adapter>(std::move(by))).leak();
    auto outcome = made->start();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    scsi::add_disks(*made, made->targets(), "virtio-scsi");
    return {};
}

}  // namespace kiln::virtio
