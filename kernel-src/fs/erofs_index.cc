// Both formats of the index (Linux kernel documentation, filesystems/erofs, "compressed data"): one
// entry a logical cluster. A head entry starts an extent in its cluster at an offset; nonheads
// continue it and say how far back the head is.
//  full:    8 bytes an entry, with the block's address
//  compact: packs of 2 entries in 8 bytes (16 bits each) or of 16 in 32 bytes (14 bits each); the
//  last 4
//           bytes of a pack are the address of the block before its first extent's, in effect
#include <algorithm>

#include "fs/erofs_index.hh"
#include "fs/pipe.hh"
#include "lib/bytes.hh"

namespace kiln {

namespace disk = erofs_format;

namespace {

constexpr u32 smallest_offset_bits = 12;
constexpr u32 pack_2_entries = 16;
constexpr u32 pack_4_entries = 2;
constexpr usize pack_2_bytes = 32;

struct cluster_entry {
    disk::cluster type = disk::cluster::nonhead;
    u32 offset = 0;       // heads: where the extent begins in the cluster
    u32 block = 0;        // heads
    u32 block_count = 0;  // the first nonhead of a big extent; else 0
};

class index_reader {
public:
    index_reader(erofs& filesystem, const erofs_layout& layout)
        : _filesystem(filesystem), _layout(layout) {}
    result<vector<compressed_extent>> run();

private:
    result<void> read_header();
    result<void> read_bytes();
    result<cluster_entry> entry(u64 cluster) const;
    result<cluster_entry> full_entry(u64 cluster) const;
    result<cluster_entry> compact_entry(u64 cluster) const;
    result<u32> blocks_before(const std::byte* pack, u32 index, u32 width) const;
    result<void> add(vector<compressed_extent>& to, u64 cluster, const cluster_entry& head) const;

    err damaged(std::string_view what) const {
        return _filesystem.damaged(_layout.inode_number, _layout.after_inode, what);
    }
    bool compact() const { return _layout.kind == disk::layout::compressed_compact; }
    bool big() const {
        return (_header.advise & (disk::compression_advice::big_pcluster_1 |
                                  disk::compression_advice::big_pcluster_2)) != 0;
    }
    u32 packed_value(const std::byte* pack, u32 index, u32 width) const {
        const u32 bit = index * width;
        return load<u32>(pack + bit / 8) >> (bit % 8);
    }
    disk::cluster type_of(u32 value) const {
        return static_cast<disk::cluster>(value >> _offset_bits & 3);
    }
    u32 low_of(u32 value) const { return value & ((1u << _offset_bits) - 1); }

    erofs& _filesystem;
    const erofs_layout& _layout;
    disk::compression_header _header{};
    u32 _cluster_bits = 0;
    u32 _offset_bits = 0;
    u64 _clusters = 0;
    u64 _start = 0;         // device offset of the first entry
    u64 _bytes_start = 0;   // device offset of _bytes
    u64 _first_packs = 0;   // clusters in packs of two before the packs of sixteen
    u64 _middle_packs = 0;  // clusters in packs of sixteen
    vector<std::byte> _bytes;
};

result<void> index_reader::read_header() {
    const u64 at = align_up(_layout.after_inode, 8);
    TRY(_filesystem.metadata().read_exactly(&_header, sizeof(_header), at));
    constexpr u16 unsupported =
        disk::compression_advice::inline_pcluster | disk::compression_advice::fragment;
    if ((_header.advise & unsupported) != 0 || (_header.cluster_bits & 0x80) != 0) {
        return damaged("packed or shared tail without the feature");
    }
    if (_header.algorithms != 0) {
        return damaged("compressed with something other than LZ4");
    }
    _cluster_bits = _filesystem.block_bits() + (_header.cluster_bits & 7);
    _offset_bits = std::max(_cluster_bits, smallest_offset_bits);
    if (_cluster_bits > 14) {
        return damaged("impossible size of logical clusters");
    }
    _clusters = (_layout.size + (u64{1} << _cluster_bits) - 1) >> _cluster_bits;
    _start = at + sizeof(_header) + (compact() ? 0 : 8);
    return {};
}

result<void> index_reader::read_bytes() {
    u64 length = _clusters * sizeof(disk::full_index);
    _bytes_start = _start;
    if (compact()) {
        // Packs of sixteen are aligned; what comes before and after is in packs of two.
        _first_packs = (pack_2_bytes - _start % pack_2_bytes) / 4 & 7;
        _first_packs = std::min(_first_packs, _clusters);
        const bool dense = (_header.advise & disk::compression_advice::compact_2_bytes) != 0;
        _middle_packs = dense ? align_down(_clusters - _first_packs, pack_2_entries) : 0;
        _bytes_start = align_down(_start, pack_2_bytes);
        length = align_up(_start + _clusters * 4, pack_2_bytes) - _bytes_start;
    }
    if (length > _filesystem.image_size()) {
        return damaged("file is too large for its index");
    }
    // Entries of two bytes make the index shorter than `length`; the image may end before.
    const u64 available = _filesystem.metadata().size();
    if (_bytes_start >= available) {
        return damaged("index beyond the image");
    }
    TRY(_bytes.resize(length + 8));
    const u64 wanted = std::min(length, available - _bytes_start);
    return _filesystem.metadata().read_exactly(_bytes.data(), wanted, _bytes_start);
}

result<cluster_entry> index_reader::full_entry(u64 cluster) const {
    disk::full_index raw;
    __builtin_memcpy(&raw, _bytes.data() + cluster * sizeof(raw), sizeof(raw));
    cluster_entry made{.type = static_cast<disk::cluster>(raw.advise & 3),
                       .offset = raw.offset,
                       .block = raw.block};
    const u32 delta = raw.block & 0xffff;
    if (made.type == disk::cluster::nonhead && (delta & disk::block_count_mark) != 0) {
        made.block_count = delta & ~disk::block_count_mark;
    }
    return made;
}

// How many blocks of the pack's extents come before that of the head at `index`.
result<u32> index_reader::blocks_before(const std::byte* pack, u32 index, u32 width) const {
    i32 at = static_cast<i32>(index);
    u32 blocks = big() ? 0 : 1;
    while (at > 0) {
        --at;
        const u32 value = packed_value(pack, static_cast<u32>(at), width);
        const u32 low = low_of(value);
        const bool nonhead = type_of(value) == disk::cluster::nonhead;
        if (!big()) {
            at -= nonhead ? static_cast<i32>(low) : 0;
            blocks += at >= 0 ? 1 : 0;
        } else if (!nonhead) {
            ++blocks;
        } else if ((low & disk::block_count_mark) != 0) {
            --at;
            blocks += low & ~disk::block_count_mark;
        } else {
            if (low <= 1) {
                return damaged("big cluster with impossible distance");
            }
            at -= static_cast<i32>(low) - 2;
        }
    }
    return blocks;
}

result<cluster_entry> index_reader::compact_entry(u64 cluster) const {
    u64 at = _start;
    u64 relative = cluster;
    bool dense = false;
    if (relative >= _first_packs) {
        at += _first_packs * 4;
        relative -= _first_packs;
        dense = relative < _middle_packs;
        if (!dense) {
            at += _middle_packs * 2;
            relative -= _middle_packs;
        }
    }
    at += relative * (dense ? 2 : 4);
    const u32 entries = dense ? pack_2_entries : pack_4_entries;
    const usize bytes = dense ? pack_2_bytes : 8;
    const u32 width = static_cast<u32>((bytes - 4) * 8 / entries);
    if (_offset_bits + 2 > width) {
        return damaged("logical clusters too large for a compact index");
    }
    const u64 start = align_down(at, bytes);
    const u32 index = static_cast<u32>((at - start) / (dense ? 2 : 4));
    if (start < _bytes_start || start - _bytes_start + bytes > _bytes.size()) {
        return damaged("compact index out of bounds");
    }
    const std::byte* const pack = _bytes.data() + (start - _bytes_start);
    const u32 value = packed_value(pack, index, width);
    cluster_entry made{.type = type_of(value)};
    const u32 low = low_of(value);
    if (made.type == disk::cluster::nonhead) {
        made.block_count = (low & disk::block_count_mark) != 0 ? low & ~disk::block_count_mark : 0;
        return made;
    }
    made.offset = low;
    made.block = load<u32>(pack + bytes - 4) + TRY(blocks_before(pack, index, width));
    return made;
}

result<cluster_entry> index_reader::entry(u64 cluster) const {
    return compact() ? compact_entry(cluster) : full_entry(cluster);
}

result<void> index_reader::add(vector<compressed_extent>& to, u64 cluster,
                               const cluster_entry& head) const {
    compressed_extent made;
    made.start = (cluster << _cluster_bits) + head.offset;
    made.block = head.block;
    made.plain = head.type == disk::cluster::plain;
    made.interlaced = made.plain && (_header.advise & disk::compression_advice::interlaced) != 0;
    if (big() && cluster + 1 < _clusters) {
        const cluster_entry next = TRY(entry(cluster + 1));
        if (next.type == disk::cluster::nonhead && next.block_count != 0) {
            made.blocks = next.block_count;
        }
    }
    if (made.start == _layout.size && cluster + 1 == _clusters && !to.empty()) {
        return {};  // mkfs.erofs ends the index with a head at the end of the file
    }
    const bool in_order = to.empty() ? made.start == 0 : made.start > to.back().start;
    if (head.offset >= (1u << _cluster_bits) || made.start >= _layout.size || !in_order) {
        return damaged("index entries out of order");
    }
    if (((u64{made.block} + made.blocks) << _filesystem.block_bits()) > _filesystem.image_size()) {
        return damaged("compressed data beyond the image");
    }
    return to.push_back(made);
}

result<vector<compressed_extent>> index_reader::run() {
    TRY(read_header());
    TRY(read_bytes());
    vector<compressed_extent> extents;
    for (u64 cluster = 0; cluster < _clusters; ++cluster) {
        const cluster_entry found = TRY(entry(cluster));
        if (found.type != disk::cluster::nonhead) {
            TRY(add(extents, cluster, found));
        }
    }
    if (extents.empty() && _layout.size != 0) {
        return damaged("compressed file without a head");
    }
    return extents;
}

}  // namespace

result<vector<compressed_extent>> load_erofs_index(erofs& filesystem, const erofs_layout& layout) {
    return index_reader(filesystem, layout).run();
}

}  // namespace kiln
