// Contents of compressed EROFS files.
//
// One workspace (input and decompression window) serves all files; its mutex is held while a group
// of pages is read and decompressed. Order: a file's index lock → the workspace → the device.
#include <algorithm>

#include "fs/erofs.hh"
#include "fs/erofs_index.hh"
#include "fs/lz4.hh"
#include "fs/pipe.hh"
#include "lib/guard.hh"

namespace kiln {

namespace disk = erofs_format;

namespace {

constexpr u32 buffer_order = 5;
constexpr usize buffer_bytes = page_size << buffer_order;
static_assert(buffer_bytes >= 2 * lz4_decoder::history);

struct workspace {
    mutex lock;
    page* input = nullptr;
    page* window = nullptr;

    result<void> prepare() {
        if (input == nullptr) {
            input = TRY(alloc_pages(buffer_order));
        }
        if (window == nullptr) {
            window = TRY(alloc_pages(buffer_order));
        }
        return {};
    }
};
constinit workspace the_workspace;

// Puts bytes of the file into the pages that are being filled; what lies outside is dropped.
class page_writer final : public lz4_decoder::sink {
public:
    page_writer(u64 first, std::span<page* const> pages)
        : _begin(first << page_shift), _pages(pages) {}

    void start(u64 offset) { _offset = offset; }
    void put(std::span<const std::byte> bytes) override;
    u64 begin() const { return _begin; }
    u64 end() const { return _begin + (u64{_pages.size()} << page_shift); }

private:
    const u64 _begin;
    std::span<page* const> _pages;
    u64 _offset = 0;
};

void page_writer::put(std::span<const std::byte> bytes) {
    const u64 skipped = std::min<u64>(bytes.size(), _offset < _begin ? _begin - _offset : 0);
    _offset += skipped;
    bytes = bytes.subspan(skipped);
    while (!bytes.empty() && _offset < end()) {
        const usize in_page = _offset % page_size;
        const usize piece = std::min(bytes.size(), page_size - in_page);
        page& target = *_pages[(_offset - _begin) >> page_shift];
        __builtin_memcpy(static_cast<std::byte*>(page_data(target)) + in_page, bytes.data(), piece);
        _offset += piece;
        bytes = bytes.subspan(piece);
    }
    _offset += bytes.size();
}

class compressed_pages final : public page_cache {
public:
    compressed_pages(erofs& filesystem, const erofs_layout& layout)
        : _filesystem(filesystem), _layout(layout) {
        set_size(layout.size);
    }
    ~compressed_pages() override { drop_all(); }

protected:
    usize read_window(u64 index, u64& first) override {
        return erofs_read_window(_layout.size, index, first);
    }
    result<void> fill(u64 first, std::span<page* const> pages) override;

private:
    result<void> load_index();
    usize extent_at(u64 offset) const;
    u64 end_of(usize index) const {
        return index + 1 < _extents.size() ? _extents[index + 1].start : _layout.size;
    }
    u64 bytes_of(const compressed_extent& extent) const {
        return u64{extent.blocks} << _filesystem.block_bits();
    }
    usize group_end(usize first, u64 end) const;
    result<void> read_group(usize first, usize last, std::span<std::byte> input, page_writer& to);
    result<void> expand(usize index, std::span<const std::byte> data, page_writer& to);
    result<void> copy_plain(usize index, std::span<const std::byte> data, u64 length,
                            page_writer& to);
    template <class... Args>
    err damaged(const compressed_extent& at, std::string_view pattern, const Args&... args) const {
        return _filesystem.damaged(_layout.inode_number, u64{at.block} << _filesystem.block_bits(),
                                   pattern, args...);
    }

    erofs& _filesystem;
    const erofs_layout _layout;
    mutex _index_lock;
    std::atomic<bool> _loaded{false};
    vector<compressed_extent> _extents;
};

result<void> compressed_pages::load_index() {
    if (_loaded.load(std::memory_order_acquire)) {
        return {};
    }
    lock_guard guard(_index_lock);
    if (!_loaded.load(std::memory_order_relaxed)) {
        _extents = TRY(load_erofs_index(_filesystem, _layout));
        _loaded.store(true, std::memory_order_release);
    }
    return {};
}

usize compressed_pages::extent_at(u64 offset) const {
    const auto* after = std::upper_bound(
        _extents.begin(), _extents.end(), offset,
        [](u64 wanted, const compressed_extent& extent) { return wanted < extent.start; });
    return static_cast<usize>(after - _extents.begin()) - 1;
}

// Extents that follow each other on the device are read together, as far as they fit the buffer.
usize compressed_pages::group_end(usize first, u64 end) const {
    u64 bytes = bytes_of(_extents[first]);
    u64 next_block = u64{_extents[first].block} + _extents[first].blocks;
    usize last = first + 1;
    while (last < _extents.size() && _extents[last].start < end &&
           _extents[last].block == next_block && bytes + bytes_of(_extents[last]) <= buffer_bytes) {
        bytes += bytes_of(_extents[last]);
        next_block += _extents[last].blocks;
        ++last;
    }
    return last;
}

result<void> compressed_pages::copy_plain(usize index, std::span<const std::byte> data, u64 length,
                                          page_writer& to) {
    const compressed_extent& extent = _extents[index];
    if (length > data.size()) {
        return damaged(extent, "an uncompressed piece of {} bytes is longer than its block", length);
    }
    if (!extent.interlaced) {
        to.put(data.first(length));
        return {};
    }
    const usize turn = extent.start & (_filesystem.block_size() - 1);
    const usize before_end = std::min<u64>(length, _filesystem.block_size() - turn);
    to.put(data.subspan(turn, before_end));
    to.put(data.first(length - before_end));
    return {};
}

result<void> compressed_pages::expand(usize index, std::span<const std::byte> data,
                                      page_writer& to) {
    const compressed_extent& extent = _extents[index];
    const u64 length = std::min(end_of(index), to.end()) - extent.start;
    to.start(extent.start);
    if (extent.plain) {
        return copy_plain(index, data, length, to);
    }
    if (_filesystem.has(disk::incompatible::zero_padding)) {
        while (!data.empty() && data.front() == std::byte{0}) {
            data = data.subspan(1);
        }
    }
    auto* window = static_cast<std::byte*>(page_data(*the_workspace.window));
    lz4_decoder decoder({window, buffer_bytes}, to);
    return decoder.decode(data, length).ok()
               ? result<void>()
               : damaged(extent, "bad LZ4 data for the {} bytes from {} of the file", length,
                         extent.start);
}

result<void> compressed_pages::read_group(usize first, usize last, std::span<std::byte> input,
                                          page_writer& to) {
    const u64 offset = u64{_extents[first].block} << _filesystem.block_bits();
    _filesystem.device().count_read(input.size());
    if (!_filesystem.device().read(offset, input).ok()) {
        return _filesystem.unreadable(_layout.inode_number, offset, input.size());
    }
    for (usize index = first; index < last; ++index) {
        const usize length = bytes_of(_extents[index]);
        TRY(expand(index, input.first(length), to));
        input = input.subspan(length);
        yield();
    }
    return {};
}

result<void> compressed_pages::fill(u64 first, std::span<page* const> pages) {
    TRY(load_index());
    page_writer to(first, pages);
    const u64 end = std::min(to.end(), _layout.size);
    if (end < to.end()) {
        const usize used = end % page_size;
        __builtin_memset(static_cast<std::byte*>(page_data(*pages.back())) + used, 0,
                         page_size - used);
    }
    lock_guard guard(the_workspace.lock);
    TRY(the_workspace.prepare());
    for (usize index = extent_at(to.begin());
         index < _extents.size() && _extents[index].start < end;) {
        const usize last = group_end(index, end);
        u64 bytes = 0;
        for (usize one = index; one < last; ++one) {
            bytes += bytes_of(_extents[one]);
        }
        if (bytes <= buffer_bytes) {
            auto* input = static_cast<std::byte*>(page_data(*the_workspace.input));
            TRY(read_group(index, last, {input, bytes}, to));
        } else {
            vector<std::byte> large;
            TRY(large.resize(bytes));
            TRY(read_group(index, last, large, to));
        }
        index = last;
    }
    return {};
}

}  // namespace

result<ref<page_cache>> make_compressed_pages(erofs& filesystem, const erofs_layout& layout) {
    return TRY(make_ref<compressed_pages>(filesystem, layout));
}

}  // namespace kiln
