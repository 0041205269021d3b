// kernel only
// virtio-blk (VIRTIO 1.2, 5.2): the driver of one device. Reads go straight from the device into the
// caller's buffers (drivers/block/sector_disk.hh). Many threads may have a request in flight each, on
// the queue of their CPU; a device at fault is reset and they are given again (commander.hh).
#include <algorithm>
#include <bit>

#include "core/log.hh"
#include "core/page.hh"
#include "drivers/block/sector_disk.hh"
#include "drivers/virtio/commander.hh"
#include "drivers/virtio/drivers.hh"
#include "lib/format.hh"

namespace kiln::virtio {
namespace {

constexpr usize sector_size = 512;
constexpr u64 feature_size_max = u64{1} << 1, feature_segment_max = u64{1} << 2,
              feature_read_only = u64{1} << 5, feature_flush = u64{1} << 9,
              feature_several_queues = u64{1} << 12, feature_discard = u64{1} << 13;
constexpr u32 config_capacity = 0, config_size_max = 8, config_segment_max = 12, config_queues = 34,
              config_most_discarded = 36, config_discard_alignment = 44;
constexpr u16 queue_entries = 256;
constexpr u32 most_queues = 16;
// One buffer's worth; longer ranges become several requests.
constexpr usize longest_transfer = 1 * MiB;
// Header and status come on top of the buffers.
constexpr usize most_segments = 64 + 2 + 2;

enum class operation : u32 { read = 0, write = 1, flush = 4, discard = 11 };

struct request_header {
    u32 type;
    u32 reserved;
    u64 sector;
};

enum class request_status : u8 { ok = 0, io_error = 1, unsupported = 2, unanswered = 0xff };

struct discarded_range {
    u64 sector;
    u32 sectors;
    u32 flags;
};

// What the device needs beside the data. Lies in DMA memory.
struct request {
    request_header header;
    discarded_range range;
    request_status status;
};

class block final : public sector_disk {
public:
    explicit block(unique<transport> by) : _commander("virtio-blk", std::move(by)) {}

    result<void> start(u32 number);
    void give_up() { _commander.give_up(); }
    u32 queues() const { return _commander.queues(); }

    std::string_view name() const override { return {_name, _name_size}; }
    bool read_only() const override { return _read_only; }
    result<void> flush() override;
    bool can_discard() const override { return _longest_discard != 0; }
    result<void> discard(u64 offset, u64 length) override;

private:
    result<void> open_queues();
    void read_discard();
    transfer_limits limits();
    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override;
    result<void> run(operation what, u64 sector, std::span<const dma_piece> pieces);
    result<void> run_discard(const discarded_range& range);
    static usize describe(request& made, operation what, u64 sector,
                          std::span<const dma_piece> pieces, segment* segments);

    commander _commander;
    request* _requests = nullptr;
    bool _read_only = false;
    bool _flushes = false;
    u32 _longest_discard = 0;  // sectors of one request; 0: the device cannot be told
    char _name[16]{};
    usize _name_size = 0;
};

result<void> block::start(u32 number) {
    device& of = _commander.device();
    const u64 several = cpu_count() > 1 ? feature_several_queues : 0;
    TRY(of.begin(feature_size_max | feature_segment_max | feature_read_only | feature_flush |
                 feature_discard | several));
    _read_only = of.has(feature_read_only);
    _flushes = of.has(feature_flush);
    TRY(open_queues());
    read_discard();
    const u64 sectors = std::min(of.config<u64>(config_capacity), ~u64{0} / sector_size);
    TRY(set_geometry(sectors, limits()));
    _name_size = format_to(_name, "vd{}", static_cast<char>('a' + number % 26));
    of.start();
    return {};
}

// One a CPU, as far as the device has queues, and interrupts by which they can be told apart.
result<void> block::open_queues() {
    device& of = _commander.device();
    const bool several = of.has(feature_several_queues) && of.has_messages();
    const u32 offered = several ? of.config<u16>(config_queues) : 1;
    const u32 wanted = std::clamp<u32>(offered, 1, std::min(cpu_count(), most_queues));
    TRY(_commander.open(0, queue_entries));
    while (_commander.queues() < wanted) {
        if (!_commander.open(static_cast<u16>(_commander.queues()), queue_entries).ok()) {
            break;
        }
    }
    const usize bytes = sizeof(request) * _commander.most_requests();
    const usize pages = align_up(bytes, page_size) >> page_shift;
    page* requests = TRY(alloc_pages(static_cast<u32>(std::bit_width(pages - 1))));
    _requests = static_cast<request*>(page_data(*requests));
    return {};
}

// A device that wants more than sectors to be aligned is not told of any.
void block::read_discard() {
    device& of = _commander.device();
    if (of.has(feature_discard) && !_read_only && of.config<u32>(config_discard_alignment) <= 1) {
        _longest_discard = of.config<u32>(config_most_discarded);
    }
}

transfer_limits block::limits() {
    transfer_limits made{.sector_size = sector_size, .longest = longest_transfer};
    device& of = _commander.device();
    if (of.has(feature_size_max)) {
        const usize most = align_down<usize>(of.config<u32>(config_size_max), sector_size);
        made.longest = std::clamp(most, sector_size, longest_transfer);
    }
    usize segments = _commander.queue_size();
    if (of.has(feature_segment_max)) {
        segments = std::min<usize>(segments, of.config<u32>(config_segment_max) + usize{2});
    }
    made.most_pieces = std::clamp<usize>(segments, 5, most_segments) - 4;
    return made;
}

usize block::describe(request& made, operation what, u64 sector,
                      std::span<const dma_piece> pieces, segment* segments) {
    KILN_DEBUG_ASSERT(pieces.size() <= most_transfer_pieces);
    made.header = {static_cast<u32>(what), 0, sector};
    made.status = request_status::unanswered;
    usize count = 0;
    segments[count++] = {dma_address(&made.header), sizeof(request_header), false};
    for (const dma_piece& piece : pieces) {
        segments[count++] = {piece.address, piece.length, what == operation::read};
    }
    segments[count++] = {dma_address(&made.status), 1, true};
    return count;
}

result<void> block::run(operation what, u64 sector, std::span<const dma_piece> pieces) {
    return _commander.run(
        [&](u32 number, segment* segments) {
            return describe(_requests[number], what, sector, pieces, segments);
        },
        [&](u32 number) {
            return _requests[number].status == request_status::ok ? result<void>() : err::io;
        });
}

result<void> block::transfer(transfer_kind kind, u64 sector, std::span<const dma_piece> pieces) {
    return run(kind == transfer_kind::read ? operation::read : operation::write, sector, pieces);
}

result<void> block::flush() {
    // Without the feature the device's writes are durable when they are done.
    return _flushes ? run(operation::flush, 0, {}) : result<void>();
}

result<void> block::discard(u64 offset, u64 length) {
    u64 sector = offset / sector_size;
    for (u64 left = length / sector_size; left != 0;) {
        const u32 here = static_cast<u32>(std::min<u64>(left, _longest_discard));
        TRY(run_discard({sector, here, 0}));
        sector += here;
        left -= here;
    }
    return {};
}

// The range lies where data would, and the device reads it.
result<void> block::run_discard(const discarded_range& range) {
    return _commander.run(
        [&](u32 number, segment* segments) {
            request& made = _requests[number];
            made.range = range;
            const dma_piece piece{dma_address(&made.range), sizeof(range)};
            return describe(made, operation::discard, 0, {&piece, 1}, segments);
        },
        [&](u32 number) {
            const request_status status = _requests[number].status;
            return status == request_status::ok            ? result<void>()
                   : status == request_status::unsupported ? err::opnotsupp
                                                           : err::io;
        });
}

constinit u32 blocks_started = 0;

}  // namespace

result<void> start_block(unique<transport> by) {
    // Never freed: from here on its interrupt handler may run.
    block* made = TRY(make_unique<block>(std::move(by))).leak();
    auto outcome = made->start(blocks_started);
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    ++blocks_started;
    log_debug("virtio-blk: {} of {} bytes{}, {} queues", made->name(), made->size_in_bytes(),
              made->read_only() ? ", read-only" : "", made->queues());
    register_block_device(*made);
    return {};
}

}  // namespace kiln::virtio
