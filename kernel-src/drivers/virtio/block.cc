// kernel only
// virtio-blk (VIRTIO 1.2, 5.2): reads go straight from the device into the caller's buffers, and
// what the whole sectors around a range hold beside it into a page that nobody reads. Writes of
// whole sectors go straight out; ragged ends are read, changed and written back through a bounce
// page.
//
// Many threads may have a request in flight each. A request uses a slot, which holds what the
// device needs beside the data; threads wait for a free slot, and for room in the ring. Lock:
// `_lock`, innermost but for the run queues'; taken by the interrupt handler.
#include <algorithm>
#include <bit>

#include "core/clock.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/park.hh"
#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "drivers/virtio/device.hh"
#include "drivers/virtio/drivers.hh"
#include "fs/block_device.hh"
#include "lib/format.hh"

namespace kiln::virtio {
namespace {

constexpr usize sector_size = 512;
constexpr u64 feature_size_max = u64{1} << 1, feature_segment_max = u64{1} << 2,
              feature_read_only = u64{1} << 5, feature_flush = u64{1} << 9;
constexpr u32 config_capacity = 0, config_size_max = 8, config_segment_max = 12;
constexpr u16 queue_entries = 256;
constexpr u32 most_slots = 32;
// One buffer's worth; longer ranges become several requests.
constexpr usize longest_transfer = 1 * MiB;
// Buffers of one request: the caller's, and what lies before and after them in their sectors.
// Header and status come on top.
constexpr usize most_pieces = 64;
constexpr usize most_data_segments = most_pieces + 2, most_segments = most_data_segments + 2;

constexpr u64 time_to_complain = 30 * ns_per_s;

enum class operation : u32 { read = 0, write = 1, flush = 4 };

struct request_header {
    u32 type;
    u32 reserved;
    u64 sector;
};

enum class request_status : u8 { ok = 0, io_error = 1, unsupported = 2, unanswered = 0xff };

// Lies in DMA memory.
struct slot {
    request_header header;
    request_status status;
    std::atomic<bool> done;
    thread* waiter;
};
static_assert(sizeof(slot) * most_slots <= page_size);

class block final : public block_device {
public:
    explicit block(pci::function& function) : _device(function) {}

    result<void> start(u32 number);
    void give_up() { _device.fail(); }

    std::string_view name() const override { return {_name, _name_size}; }
    u64 size_in_bytes() const override { return _sectors * sector_size; }
    bool read_only() const override { return _device.has(feature_read_only); }

    result<void> read(u64 offset, std::span<std::byte> into) override;
    result<void> read_scattered(u64 offset, std::span<const std::span<std::byte>> into) override;
    result<void> write(u64 offset, std::span<const std::byte> from) override;
    result<void> flush() override;

private:
    enum class submission : u8 { accepted, ring_full, refused };

    static void on_interrupt(void* context) { static_cast<block*>(context)->take_finished(); }
    void take_limits();
    void take_finished();
    void answer(slot& finished);
    void end_everything();
    result<void> check_range(u64 offset, usize size) const;
    result<void> read_pieces(u64 offset, std::span<const std::span<std::byte>> pieces);
    result<void> change_part_of_sectors(u64 offset, std::span<const std::byte> from);
    result<void> write_sectors(u64 sector, std::span<const std::byte> from);
    result<void> run(operation what, u64 sector, std::span<const segment> data);

    slot* take_slot();
    submission submit(slot& taken, std::span<const segment> data);
    bool submit_when_room(slot& taken, std::span<const segment> data);
    void wait_for(slot& taken);
    void release(slot& taken);

    device _device;
    queue _queue;
    doorbell _doorbell;
    irq_spinlock _lock;
    wait_queue _room;  // a slot, or descriptors, have become free
    slot* _slots = nullptr;
    u32 _slot_total = 0;
    u32 _free_slots = 0;  // a bit a slot
    bool _gone = false;
    u64 _sectors = 0;
    std::byte* _bin = nullptr;  // a page for bytes that nobody wants
    usize _longest = longest_transfer;
    usize _most_pieces = most_pieces;
    char _name[16]{};
    usize _name_size = 0;
};

result<void> block::start(u32 number) {
    TRY(_device.open());
    TRY(_device.begin(feature_size_max | feature_segment_max | feature_read_only | feature_flush));
    const u16 message = TRY(_device.connect(&on_interrupt, this, 0));
    _doorbell = TRY(_device.add_queue(0, _queue, queue_entries, message));
    page* slots = TRY(alloc_zeroed_page());
    _slots = static_cast<slot*>(page_data(*slots));
    page* bin = TRY(alloc_page());
    _bin = static_cast<std::byte*>(page_data(*bin));
    take_limits();
    _name_size = format_to(_name, "vd{}", static_cast<char>('a' + number % 26));
    _device.start();
    return {};
}

void block::take_limits() {
    _slot_total = std::min<u32>(_queue.size() / 4, most_slots);
    _free_slots = static_cast<u32>((u64{1} << _slot_total) - 1);
    _sectors = std::min(_device.config<u64>(config_capacity), ~u64{0} / sector_size);
    if (_device.has(feature_size_max)) {
        const usize most = align_down<usize>(_device.config<u32>(config_size_max), sector_size);
        _longest = std::clamp(most, sector_size, longest_transfer);
    }
    usize segments = _queue.size();
    if (_device.has(feature_segment_max)) {
        segments = std::min<usize>(segments, _device.config<u32>(config_segment_max) + usize{2});
    }
    _most_pieces = std::clamp<usize>(segments, 5, most_segments) - 4;
}

// In the interrupt handler, or by a waiter.
void block::take_finished() {
    irq_guard guard(_lock);
    queue::completion finished;
    while (_queue.take(finished)) {
        answer(*static_cast<slot*>(finished.token));
    }
    if (_queue.broken() && !_gone) {
        end_everything();
    }
}

void block::answer(slot& finished) {
    finished.done.store(true, std::memory_order_release);
    unpark(*finished.waiter);
}

// The device wrote nonsense into its ring: whoever waits gets an error, and so does everybody
// later.
void block::end_everything() {
    _gone = true;
    _device.fail();
    log_error("virtio-blk: {} broke its ring; it is not used any more", name());
    for (u32 i = 0; i < _slot_total; ++i) {
        const bool taken = (_free_slots & 1u << i) == 0;
        if (taken && !_slots[i].done.load(std::memory_order_relaxed)) {
            answer(_slots[i]);
        }
    }
}

slot* block::take_slot() {
    irq_guard guard(_lock);
    if (_free_slots == 0) {
        return nullptr;
    }
    const u32 index = static_cast<u32>(std::countr_zero(_free_slots));
    _free_slots &= ~(1u << index);
    slot& taken = _slots[index];
    taken.waiter = &current_thread();
    taken.done.store(false, std::memory_order_relaxed);
    taken.status = request_status::unanswered;
    return &taken;
}

void block::release(slot& taken) {
    {
        // Also waits until the handler that set `done` has left the slot alone.
        irq_guard guard(_lock);
        _free_slots |= 1u << (&taken - _slots);
    }
    _room.wake();
}

block::submission block::submit(slot& taken, std::span<const segment> data) {
    segment segments[most_segments];
    KILN_DEBUG_ASSERT(data.size() <= most_data_segments);
    usize count = 0;
    segments[count++] = {dma_address(&taken.header), sizeof(request_header), false};
    for (const segment& part : data) {
        segments[count++] = part;
    }
    segments[count++] = {dma_address(&taken.status), 1, true};
    irq_guard guard(_lock);
    if (_gone) {
        return submission::refused;
    }
    if (!_queue.add({segments, count}, &taken).ok()) {
        return submission::ring_full;
    }
    if (_queue.publish()) {
        _doorbell.ring();
    }
    return submission::accepted;
}

bool block::submit_when_room(slot& taken, std::span<const segment> data) {
    auto how = submission::ring_full;
    // Whoever filled the ring wakes us when its request is done.
    (void)wait_until(
        _room, [&] { return (how = submit(taken, data)) != submission::ring_full; }, never,
        wait_mode::uninterruptible);
    return how == submission::accepted;
}

// For ever, as the data may still be written to the caller's buffer; but not in silence.
void block::wait_for(slot& taken) {
    const u64 start = now();
    for (u64 patience = start + time_to_complain; !taken.done.load(std::memory_order_acquire);) {
        park(patience);
        if (now() >= patience && !taken.done.load(std::memory_order_acquire)) {
            log_warning("virtio-blk: {} has not answered for {} s (sector {})", name(),
                        (now() - start) / ns_per_s, taken.header.sector);
            patience = now() + time_to_complain;
        }
    }
}

result<void> block::run(operation what, u64 sector, std::span<const segment> data) {
    slot* taken = nullptr;
    // Not interruptible, so it only ends with a slot.
    TRY(wait_until(
        _room, [&] { return (taken = take_slot()) != nullptr; }, never,
        wait_mode::uninterruptible, true));
    taken->header = {static_cast<u32>(what), 0, sector};
    const bool submitted = submit_when_room(*taken, data);
    if (submitted) {
        wait_for(*taken);
    }
    const bool good = submitted && taken->status == request_status::ok;
    release(*taken);
    return good ? result<void>() : err::io;
}

result<void> block::check_range(u64 offset, usize size) const {
    return offset <= size_in_bytes() && size <= size_in_bytes() - offset ? result<void>()
                                                                         : err::inval;
}

// At most _most_pieces pieces of at most _longest bytes, as one request.
result<void> block::read_pieces(u64 offset, std::span<const std::span<std::byte>> pieces) {
    segment segments[most_data_segments];
    usize count = 0;
    const u32 before = static_cast<u32>(offset % sector_size);
    if (before != 0) {
        segments[count++] = {dma_address(_bin), before, true};
    }
    u64 end = offset;
    for (const std::span<std::byte> piece : pieces) {
        segments[count++] = {dma_address(piece.data()), static_cast<u32>(piece.size()), true};
        end += piece.size();
    }
    const u32 after = static_cast<u32>(align_up(end, sector_size) - end);
    if (after != 0) {
        segments[count++] = {dma_address(_bin), after, true};
    }
    return run(operation::read, offset / sector_size, {segments, count});
}

result<void> block::read(u64 offset, std::span<std::byte> into) {
    TRY(check_range(offset, into.size()));
    while (!into.empty()) {
        // Later pieces begin with a sector.
        const usize most = _longest - offset % sector_size;
        const std::span<std::byte> piece = into.first(std::min(into.size(), most));
        TRY(read_pieces(offset, {&piece, 1}));
        into = into.subspan(piece.size());
        offset += piece.size();
    }
    return {};
}

result<void> block::read_scattered(u64 offset, std::span<const std::span<std::byte>> into) {
    while (!into.empty()) {
        usize count = 0, bytes = 0;
        while (count < std::min(into.size(), _most_pieces) && into[count].size() <= _longest &&
               !into[count].empty()) {
            bytes += into[count++].size();
        }
        if (count == 0) {
            bytes = into[0].size();
            TRY(read(offset, into[count++]));
        } else {
            TRY(check_range(offset, bytes));
            TRY(read_pieces(offset, into.first(count)));
        }
        into = into.subspan(count);
        offset += bytes;
    }
    return {};
}

result<void> block::write_sectors(u64 sector, std::span<const std::byte> from) {
    while (!from.empty()) {
        const usize size = std::min(from.size(), _longest);
        const segment data{dma_address(from.data()), static_cast<u32>(size), false};
        TRY(run(operation::write, sector, {&data, 1}));
        from = from.subspan(size);
        sector += size / sector_size;
    }
    return {};
}

// Within one sector.
result<void> block::change_part_of_sectors(u64 offset, std::span<const std::byte> from) {
    page* bounce = TRY(alloc_page());
    const std::span<std::byte> data(static_cast<std::byte*>(page_data(*bounce)), sector_size);
    auto outcome = read(align_down(offset, sector_size), data);
    if (outcome.ok()) {
        __builtin_memcpy(data.data() + offset % sector_size, from.data(), from.size());
        outcome = write_sectors(offset / sector_size, data);
    }
    drop_page_reference(*bounce);
    return outcome;
}

result<void> block::write(u64 offset, std::span<const std::byte> from) {
    TRY(check_range(offset, from.size()));
    if (read_only()) {
        return err::rofs;
    }
    const usize to_sector = (sector_size - offset % sector_size) % sector_size;
    const usize head = std::min(to_sector, from.size());
    const usize middle = align_down(from.size() - head, sector_size);
    const usize tail = from.size() - head - middle;
    if (head != 0) {
        TRY(change_part_of_sectors(offset, from.first(head)));
    }
    TRY(write_sectors((offset + head) / sector_size, from.subspan(head, middle)));
    return tail == 0 ? result<void>()
                     : change_part_of_sectors(offset + head + middle, from.last(tail));
}

result<void> block::flush() {
    // Without the feature the device's writes are durable when they are done.
    return _device.has(feature_flush) ? run(operation::flush, 0, {}) : result<void>();
}

constinit u32 blocks_started = 0;

}  // namespace

result<void> start_block(pci::function& function) {
    // Never freed: from here on its interrupt handler may run.
    block* made = TRY(make_unique<block>(function)).leak();
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
