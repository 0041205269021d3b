// kernel only
// virtio-blk (VIRTIO 1.2, 5.2): the driver of one device. Reads go straight from the device into the
// caller's buffers (drivers/block/sector_disk.hh).
//
// Many threads may have a request in flight each. A request has a number, which finds what the
// device needs beside the data; threads wait for a free number, and for room in the ring. Lock:
// `_lock`, before that of the numbers; taken by the interrupt handler.
#include <algorithm>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "drivers/block/request_slots.hh"
#include "drivers/block/sector_disk.hh"
#include "drivers/virtio/device.hh"
#include "drivers/virtio/drivers.hh"
#include "lib/format.hh"

namespace kiln::virtio {
namespace {

constexpr usize sector_size = 512;
constexpr u64 feature_size_max = u64{1} << 1, feature_segment_max = u64{1} << 2,
              feature_read_only = u64{1} << 5, feature_flush = u64{1} << 9;
constexpr u32 config_capacity = 0, config_size_max = 8, config_segment_max = 12;
constexpr u16 queue_entries = 256;
constexpr u32 most_requests = 32;
// One buffer's worth; longer ranges become several requests.
constexpr usize longest_transfer = 1 * MiB;
// Header and status come on top of the buffers.
constexpr usize most_segments = 64 + 2 + 2;

constexpr u64 time_to_complain = 30 * ns_per_s;

enum class operation : u32 { read = 0, write = 1, flush = 4 };

struct request_header {
    u32 type;
    u32 reserved;
    u64 sector;
};

enum class request_status : u8 { ok = 0, io_error = 1, unsupported = 2, unanswered = 0xff };

// What the device needs beside the data. Lies in DMA memory.
struct request {
    request_header header;
    request_status status;
};
static_assert(sizeof(request) * most_requests <= page_size);

class block final : public sector_disk {
public:
    explicit block(unique<transport> by) : _device(std::move(by)) {}

    result<void> start(u32 number);
    void give_up() { _device.fail(); }

    std::string_view name() const override { return {_name, _name_size}; }
    bool read_only() const override { return _device.has(feature_read_only); }
    result<void> flush() override;

private:
    enum class submission : u8 { accepted, ring_full, refused };

    static void on_interrupt(void* context) { static_cast<block*>(context)->take_finished(); }
    transfer_limits limits();
    void take_finished();
    void end_everything();
    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override;
    result<void> run(operation what, u64 sector, std::span<const dma_piece> pieces);

    submission submit(u32 number, operation what, std::span<const dma_piece> pieces);
    bool submit_when_room(u32 number, operation what, std::span<const dma_piece> pieces);
    void wait_for(u32 number);

    device _device;
    queue _queue;
    doorbell _doorbell;
    irq_spinlock _lock;
    wait_queue _room;  // descriptors have become free
    request* _requests = nullptr;
    request_slots _slots;
    bool _gone = false;
    char _name[16]{};
    usize _name_size = 0;
};

result<void> block::start(u32 number) {
    TRY(_device.begin(feature_size_max | feature_segment_max | feature_read_only | feature_flush));
    const u16 message = TRY(_device.connect(&on_interrupt, this, 0));
    _doorbell = TRY(_device.add_queue(0, _queue, queue_entries, message));
    page* requests = TRY(alloc_zeroed_page());
    _requests = static_cast<request*>(page_data(*requests));
    _slots.init(std::min<u32>(_queue.size() / 4, most_requests));
    const u64 sectors = std::min(_device.config<u64>(config_capacity), ~u64{0} / sector_size);
    TRY(set_geometry(sectors, limits()));
    _name_size = format_to(_name, "vd{}", static_cast<char>('a' + number % 26));
    _device.start();
    return {};
}

transfer_limits block::limits() {
    transfer_limits made{.sector_size = sector_size, .longest = longest_transfer};
    if (_device.has(feature_size_max)) {
        const usize most = align_down<usize>(_device.config<u32>(config_size_max), sector_size);
        made.longest = std::clamp(most, sector_size, longest_transfer);
    }
    usize segments = _queue.size();
    if (_device.has(feature_segment_max)) {
        segments = std::min<usize>(segments, _device.config<u32>(config_segment_max) + usize{2});
    }
    made.most_pieces = std::clamp<usize>(segments, 5, most_segments) - 4;
    return made;
}

// In the interrupt handler, or by a waiter.
void block::take_finished() {
    bool took_any = false;
    {
        irq_guard guard(_lock);
        queue::completion finished;
        while (_queue.take(finished)) {
            const auto* of = static_cast<const request*>(finished.token);
            const bool good = of->status == request_status::ok;
            _slots.finish(static_cast<u32>(of - _requests), good ? request_slots::outcome::good
                                                                 : request_slots::outcome::failed);
            took_any = true;
        }
        if (_queue.broken() && !_gone) {
            end_everything();
        }
    }
    if (took_any) {
        _room.wake();
    }
}

// The device wrote nonsense into its ring: whoever waits gets an error, and so does everybody
// later.
void block::end_everything() {
    _gone = true;
    _device.fail();
    log_error("virtio-blk: {} broke its ring; it is not used any more", name());
    _slots.finish_all(request_slots::outcome::failed);
    _room.wake_all();
}

block::submission block::submit(u32 number, operation what, std::span<const dma_piece> pieces) {
    segment segments[most_segments];
    KILN_DEBUG_ASSERT(pieces.size() <= most_transfer_pieces);
    request& made = _requests[number];
    usize count = 0;
    segments[count++] = {dma_address(&made.header), sizeof(request_header), false};
    for (const dma_piece& piece : pieces) {
        segments[count++] = {piece.address, piece.length, what == operation::read};
    }
    segments[count++] = {dma_address(&made.status), 1, true};
    irq_guard guard(_lock);
    if (_gone) {
        return submission::refused;
    }
    if (!_queue.add({segments, count}, &made).ok()) {
        return submission::ring_full;
    }
    if (_queue.publish()) {
        _doorbell.ring();
    }
    return submission::accepted;
}

bool block::submit_when_room(u32 number, operation what, std::span<const dma_piece> pieces) {
    auto how = submission::ring_full;
    (void)wait_until(
        _room, [&] { return (how = submit(number, what, pieces)) != submission::ring_full; },
        never, wait_mode::uninterruptible);
    return how == submission::accepted;
}

// For ever, as the data may still be written to the caller's buffer; but not in silence.
void block::wait_for(u32 number) {
    const u64 start = now();
    while (!_slots.wait(number, now() + time_to_complain)) {
        log_warning("virtio-blk: {} has not answered for {} s (sector {})", name(),
                    (now() - start) / ns_per_s, _requests[number].header.sector);
    }
}

result<void> block::run(operation what, u64 sector, std::span<const dma_piece> pieces) {
    const u32 number = _slots.take();
    _requests[number] = {{static_cast<u32>(what), 0, sector}, request_status::unanswered};
    const bool submitted = submit_when_room(number, what, pieces);
    if (submitted) {
        wait_for(number);
    }
    const bool good = submitted && _slots.outcome_of(number) == request_slots::outcome::good;
    _slots.release(number);
    return good ? result<void>() : err::io;
}

result<void> block::transfer(transfer_kind kind, u64 sector, std::span<const dma_piece> pieces) {
    return run(kind == transfer_kind::read ? operation::read : operation::write, sector, pieces);
}

result<void> block::flush() {
    // Without the feature the device's writes are durable when they are done.
    return _device.has(feature_flush) ? run(operation::flush, 0, {}) : result<void>();
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
    log_debug("virtio-blk: {} of {} bytes{}", made->name(), made->size_in_bytes(),
              made->read_only() ? ", read-only" : "");
    register_block_device(*made);
    return {};
}

}  // namespace kiln::virtio
