// Contents of uncompressed EROFS files: one run of blocks, a tail after the inode, or chunks.
#include <algorithm>

#include "fs/erofs.hh"
#include "fs/pipe.hh"

namespace kiln {

namespace disk = erofs_format;

namespace {

// Where the part that is stored after the inode begins.
u64 inline_start(const erofs& filesystem, const erofs_layout& layout) {
    const u64 blocks = (layout.size + filesystem.block_size() - 1) >> filesystem.block_bits();
    return blocks == 0 ? 0 : (blocks - 1) << filesystem.block_bits();
}

result<erofs_extent> locate_flat(erofs& filesystem, const erofs_layout& layout, u64 offset) {
    const bool has_tail = layout.kind == disk::layout::inline_tail;
    const u64 tail = has_tail ? inline_start(filesystem, layout) : layout.size;
    if (offset < tail) {
        const u64 start = u64{layout.where} << filesystem.block_bits();
        if (start + tail > filesystem.image_size()) {
            return filesystem.damaged(layout.inode_number, start,
                                      "the contents end at {}, the image at {}", start + tail,
                                      filesystem.image_size());
        }
        return erofs_extent{start + offset, tail - offset, false};
    }
    const u64 in_block = layout.after_inode & (filesystem.block_size() - 1);
    if (in_block + (layout.size - tail) > filesystem.block_size()) {
        return filesystem.damaged(layout.inode_number, layout.after_inode,
                                  "a packed tail of {} bytes crosses a block", layout.size - tail);
    }
    return erofs_extent{layout.after_inode + (offset - tail), layout.size - offset, false};
}

result<u32> chunk_block(erofs& filesystem, const erofs_layout& layout, u64 chunk) {
    device_cache& from = filesystem.metadata();
    if ((layout.where & disk::chunk_has_indexes) == 0) {
        u32 block = 0;
        TRY(from.read_exactly(&block, 4, align_up(layout.after_inode, 4) + chunk * 4));
        return block;
    }
    disk::chunk_index entry{};
    TRY(from.read_exactly(&entry, sizeof(entry),
                          align_up(layout.after_inode, 8) + chunk * sizeof(entry)));
    if (entry.device != 0 && entry.block != disk::null_block) {
        return filesystem.damaged(layout.inode_number, layout.after_inode,
                                  "a chunk lies on another device, number {}", entry.device);
    }
    return entry.block;
}

result<erofs_extent> locate_chunk(erofs& filesystem, const erofs_layout& layout, u64 offset) {
    const u32 bits = filesystem.block_bits() + (layout.where & disk::chunk_bits_mask);
    const u64 chunk = offset >> bits;
    const u64 in_chunk = offset & ((u64{1} << bits) - 1);
    const u64 length = std::min((u64{1} << bits) - in_chunk, layout.size - offset);
    const u32 block = TRY(chunk_block(filesystem, layout, chunk));
    if (block == disk::null_block) {
        return erofs_extent{0, length, true};
    }
    const u64 start = (u64{block} << filesystem.block_bits()) + in_chunk;
    if (start + length > filesystem.image_size()) {
        return filesystem.damaged(layout.inode_number, layout.after_inode,
                                  "a chunk ends at {}, the image at {}", start + length,
                                  filesystem.image_size());
    }
    return erofs_extent{start, length, false};
}

class plain_pages final : public page_cache {
public:
    plain_pages(erofs& filesystem, const erofs_layout& layout)
        : _filesystem(filesystem), _layout(layout) {
        set_size(layout.size);
    }
    ~plain_pages() override { drop_all(); }

protected:
    usize read_window(u64 index, u64& first) override {
        return erofs_read_window(_layout.size, index, first);
    }
    result<void> fill(u64 first, std::span<page* const> pages) override;

private:
    erofs& _filesystem;
    const erofs_layout _layout;
};

// Whole pages go straight from the device; what ends inside a page or lies apart is put together.
result<void> plain_pages::fill(u64 first, std::span<page* const> pages) {
    while (!pages.empty()) {
        const u64 offset = first << page_shift;
        const u64 wanted = std::min<u64>(pages.size() * page_size, _layout.size - offset);
        const erofs_extent at = TRY(erofs_locate(_filesystem, _layout, offset));
        usize count = std::min<u64>(at.length, wanted) >> page_shift;
        if (at.length >= wanted) {
            count = pages.size();
        }
        const bool direct = !at.hole && count != 0 && at.device_offset % 512 == 0;
        if (direct && (_layout.kind != disk::layout::inline_tail ||
                       at.device_offset != _layout.after_inode)) {
            const u64 bytes = std::min<u64>(wanted, count * page_size);
            if (!read_pages(_filesystem.device(), at.device_offset, bytes, pages.first(count)).ok()) {
                return _filesystem.unreadable(_layout.inode_number, at.device_offset, bytes);
            }
        } else {
            count = 1;
            const u64 length = std::min<u64>(wanted, page_size);
            auto* data = static_cast<std::byte*>(page_data(*pages[0]));
            __builtin_memset(data + length, 0, page_size - length);
            TRY(erofs_read_plain(_filesystem, _layout, offset, {data, length}));
        }
        pages = pages.subspan(count);
        first += count;
    }
    return {};
}

}  // namespace

result<erofs_extent> erofs_locate(erofs& filesystem, const erofs_layout& layout, u64 offset) {
    return layout.kind == disk::layout::chunked ? locate_chunk(filesystem, layout, offset)
                                                : locate_flat(filesystem, layout, offset);
}

result<void> erofs_read_plain(erofs& filesystem, const erofs_layout& layout, u64 offset,
                              std::span<std::byte> to) {
    while (!to.empty()) {
        const erofs_extent at = TRY(erofs_locate(filesystem, layout, offset));
        const usize length = std::min<u64>(at.length, to.size());
        if (length == 0) {
            return err::io;
        }
        if (at.hole) {
            __builtin_memset(to.data(), 0, length);
        } else {
            TRY(filesystem.metadata().read_exactly(to.data(), length, at.device_offset));
        }
        to = to.subspan(length);
        offset += length;
    }
    return {};
}

usize erofs_read_window(u64 file_size, u64 index, u64& first) {
    constexpr u64 window = 64;
    // When memory is short, reading ahead only drives out what is needed.
    const memory_figures memory = memory_now();
    const u64 pages = memory.free_pages > 16 * window  ? window
                      : memory.free_pages > 4 * window ? 16
                                                       : 4;
    first = align_down(index, pages);
    return std::min(pages, ((file_size + page_size - 1) >> page_shift) - first);
}

result<ref<page_cache>> make_erofs_pages(erofs& filesystem, const erofs_layout& layout) {
    if (layout.kind == disk::layout::compressed_full ||
        layout.kind == disk::layout::compressed_compact) {
        return make_compressed_pages(filesystem, layout);
    }
    return TRY(make_ref<plain_pages>(filesystem, layout));
}

}  // namespace kiln
