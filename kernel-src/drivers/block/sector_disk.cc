#include "drivers/block/sector_disk.hh"

#include <algorithm>

#include "core/page.hh"
#include "drivers/dma.hh"

namespace kiln {
namespace {

// A page that goes back by itself.
class bounce_page : noncopyable {
public:
    static result<bounce_page> make() { return bounce_page(TRY(alloc_page())); }
    bounce_page(bounce_page&& other) noexcept : _frame(std::exchange(other._frame, nullptr)) {}
    ~bounce_page() {
        if (_frame != nullptr) {
            drop_page_reference(*_frame);
        }
    }
    std::span<std::byte> first(usize size) const {
        return {static_cast<std::byte*>(page_data(*_frame)), size};
    }

private:
    explicit bounce_page(page* frame) : _frame(frame) {}
    page* _frame;
};

}  // namespace

// Where a read stands: an offset on the device, and the rest of the buffers.
class sector_disk::cursor {
public:
    cursor(u64 start, std::span<const std::span<std::byte>> buffers)
        : offset(start), _buffers(buffers) {
        skip_empty();
    }

    bool done() const { return _buffers.empty(); }
    std::span<std::byte> buffer(usize index) const {
        return index == 0 ? _buffers[0].subspan(_taken) : _buffers[index];
    }
    usize buffers() const { return _buffers.size(); }
    void advance(usize bytes) {
        offset += bytes;
        while (bytes != 0) {
            const usize step = std::min(bytes, buffer(0).size());
            _taken += step;
            bytes -= step;
            skip_empty();
        }
    }

    u64 offset;

private:
    void skip_empty() {
        while (!_buffers.empty() && _taken == _buffers[0].size()) {
            _buffers = _buffers.subspan(1);
            _taken = 0;
        }
    }

    std::span<const std::span<std::byte>> _buffers;
    usize _taken = 0;  // bytes of the first buffer
};

result<void> sector_disk::set_geometry(u64 sectors, const transfer_limits& limits) {
    const u32 sector = limits.sector_size;
    const bool possible = sector >= 512 && sector <= page_size && (sector & (sector - 1)) == 0 &&
                          limits.longest >= sector && limits.longest % sector == 0 &&
                          limits.most_pieces != 0 && limits.alignment != 0;
    if (!possible || sectors > ~u64{0} / sector) {
        return err::inval;
    }
    page* bin = TRY(alloc_page());
    _bin = static_cast<std::byte*>(page_data(*bin));
    _limits = limits;
    _limits.most_pieces = std::min(limits.most_pieces, most_transfer_pieces - 2);
    _sectors = sectors;
    return {};
}

result<void> sector_disk::check_range(u64 offset, usize size) const {
    const u64 end = size_in_bytes();
    return offset <= end && size <= end - offset ? result<void>() : err::inval;
}

bool sector_disk::fits(std::span<const std::byte> buffer) const {
    return is_aligned(dma_address(buffer.data()), _limits.alignment) &&
           is_aligned(buffer.size(), _limits.alignment);
}

// ---- reading ----

result<void> sector_disk::read(u64 offset, std::span<std::byte> into) {
    return read_scattered(offset, {&into, 1});
}

result<void> sector_disk::read_scattered(u64 offset, std::span<const std::span<std::byte>> into) {
    usize size = 0;
    for (const std::span<std::byte> buffer : into) {
        size += buffer.size();
    }
    TRY(check_range(offset, size));
    for (cursor at(offset, into); !at.done();) {
        const usize direct = TRY(read_whole(at));
        at.advance(direct != 0 ? direct : TRY(read_through_bounce(at)));
    }
    return {};
}

// The longest start of what is left that one transfer can move; returns its bytes. Where buffers
// must meet at pages it is whole sectors.
usize sector_disk::gather(const cursor& at, dma_piece* pieces, usize& count) const {
    const usize before = at.offset % _limits.sector_size;
    if (_limits.joins_at_pages_only && before != 0) {
        return 0;
    }
    usize room = _limits.longest - before, bytes = 0;
    u64 end = 0;
    for (count = 0; count < std::min(at.buffers(), _limits.most_pieces) && room != 0;) {
        std::span<std::byte> buffer = at.buffer(count);
        buffer = buffer.first(std::min(buffer.size(), room));
        const u64 address = dma_address(buffer.data());
        const bool meets = !_limits.joins_at_pages_only || count == 0 ||
                           is_aligned(end | address, page_size);
        if (buffer.empty() || !fits(buffer) || !meets) {
            break;
        }
        pieces[count++] = {address, static_cast<u32>(buffer.size())};
        bytes += buffer.size();
        room -= buffer.size();
        end = address + buffer.size();
    }
    if (!_limits.joins_at_pages_only) {
        return bytes;
    }
    usize extra = bytes % _limits.sector_size;
    bytes -= extra;
    while (extra != 0) {
        const u32 cut = static_cast<u32>(std::min<usize>(extra, pieces[count - 1].length));
        pieces[count - 1].length -= cut;
        extra -= cut;
        count -= pieces[count - 1].length == 0 ? 1 : 0;
    }
    return bytes;
}

// Straight into the buffers; what the sectors hold before and after goes into the bin. 0: not
// possible here.
result<usize> sector_disk::read_whole(const cursor& at) {
    dma_piece pieces[most_transfer_pieces];
    usize count = 0;
    const u32 before = static_cast<u32>(at.offset % _limits.sector_size);
    const usize bytes = gather(at, pieces + 1, count);
    if (bytes == 0 || !is_aligned(before, _limits.alignment)) {
        return usize{0};
    }
    const u32 after =
        static_cast<u32>(align_up(before + bytes, _limits.sector_size) - before - bytes);
    pieces[0] = {dma_address(_bin), before};
    if (after != 0) {
        pieces[++count] = {dma_address(_bin), after};
    }
    const std::span<const dma_piece> all(pieces, count + 1);
    TRY(transfer(transfer_kind::read, at.offset / _limits.sector_size,
                 before != 0 ? all : all.subspan(1)));
    return bytes;
}

// The sectors around what is left of the first buffer, at most a page of them.
result<usize> sector_disk::read_through_bounce(const cursor& at) {
    const bounce_page bounce = TRY(bounce_page::make());
    const usize before = at.offset % _limits.sector_size;
    const std::span<std::byte> into = at.buffer(0);
    const usize bytes = std::min(into.size(), std::min(page_size, _limits.longest) - before);
    const std::span<std::byte> sectors =
        bounce.first(align_up(before + bytes, _limits.sector_size));
    const dma_piece piece{dma_address(sectors.data()), static_cast<u32>(sectors.size())};
    TRY(transfer(transfer_kind::read, at.offset / _limits.sector_size, {&piece, 1}));
    __builtin_memcpy(into.data(), sectors.data() + before, bytes);
    return bytes;
}

// ---- writing ----

result<void> sector_disk::write(u64 offset, std::span<const std::byte> from) {
    TRY(check_range(offset, from.size()));
    if (read_only()) {
        return err::rofs;
    }
    const usize sector = _limits.sector_size;
    const usize head = std::min((sector - offset % sector) % sector, from.size());
    const usize middle = align_down(from.size() - head, sector);
    if (head != 0) {
        TRY(write_ragged(offset, from.first(head)));
    }
    if (middle != 0) {
        shared_guard guard(_writing);
        TRY(write_sectors(offset + head, from.subspan(head, middle)));
    }
    const std::span<const std::byte> tail = from.subspan(head + middle);
    return tail.empty() ? result<void>() : write_ragged(offset + head + middle, tail);
}

// Within one sector.
result<void> sector_disk::write_ragged(u64 offset, std::span<const std::byte> from) {
    lock_guard guard(_writing);
    const bounce_page bounce = TRY(bounce_page::make());
    const std::span<std::byte> sector = bounce.first(_limits.sector_size);
    const u64 start = align_down(offset, _limits.sector_size);
    TRY(read(start, sector));
    __builtin_memcpy(sector.data() + (offset - start), from.data(), from.size());
    return write_sectors(start, sector);
}

// Whole sectors.
result<void> sector_disk::write_sectors(u64 offset, std::span<const std::byte> from) {
    if (!fits(from)) {
        return write_through_bounce(offset, from);
    }
    while (!from.empty()) {
        const std::span<const std::byte> part = from.first(std::min(from.size(), _limits.longest));
        const dma_piece piece{dma_address(part.data()), static_cast<u32>(part.size())};
        TRY(transfer(transfer_kind::write, offset / _limits.sector_size, {&piece, 1}));
        from = from.subspan(part.size());
        offset += part.size();
    }
    return {};
}

result<void> sector_disk::write_through_bounce(u64 offset, std::span<const std::byte> from) {
    const bounce_page bounce = TRY(bounce_page::make());
    const usize most = std::min(page_size, _limits.longest);
    while (!from.empty()) {
        const std::span<std::byte> sectors = bounce.first(std::min(from.size(), most));
        __builtin_memcpy(sectors.data(), from.data(), sectors.size());
        const dma_piece piece{dma_address(sectors.data()), static_cast<u32>(sectors.size())};
        TRY(transfer(transfer_kind::write, offset / _limits.sector_size, {&piece, 1}));
        from = from.subspan(sectors.size());
        offset += sectors.size();
    }
    return {};
}

}  // namespace kiln
