// Inodes, directories, symbolic links and extended attributes of EROFS.
#include <algorithm>

#include "fs/erofs.hh"
#include "fs/inode_file.hh"
#include "fs/pipe.hh"
#include "fs/special_files.hh"

namespace kiln {

namespace disk = erofs_format;

namespace {

constexpr usize entry_size = sizeof(disk::directory_entry);
// A directory's cookies: block and index in it, after those of "." and "..".
constexpr u64 first_cookie = 3;
constexpr u32 index_bits = 12;

constexpr std::string_view xattr_prefixes[] = {
    "",        "user.",    "system.posix_acl_access", "system.posix_acl_default", "trusted.",
    "lustre.", "security."};

u8 entry_type(u8 on_disk) {
    constexpr u8 types[] = {0, 8, 4, 2, 6, 1, 12, 10};  // DT_* by EROFS_FT_*
    return on_disk < sizeof(types) ? types[on_disk] : 0;
}

bool is_device(u32 mode) {
    const u32 type = mode & mode_bit::type_mask;
    return type == mode_bit::character || type == mode_bit::block;
}

}  // namespace

erofs_inode::~erofs_inode() {
    owner().forget(*this);
}

result<ref<erofs_inode>> erofs_inode::load(erofs& owner, u64 number) {
    if (number >= owner.image_size() / disk::inode_slot) {
        return owner.damaged(number, owner.inode_offset(number), "no such inode: the image ends at {}",
                             owner.image_size());
    }
    const u64 offset = owner.inode_offset(number);
    disk::compact_inode compact{};
    result<void> read = owner.metadata().read_exactly(&compact, sizeof(compact), offset);
    if (!read.ok()) {
        return owner.failed_read(read.error(), number, offset, "cannot read the inode");
    }
    const u32 kind = compact.format >> 1 & 7;
    if ((compact.format & ~u32{0xf}) != 0 || kind > static_cast<u32>(disk::layout::chunked)) {
        return owner.damaged(number, offset, "unknown inode format {:04x}", compact.format);
    }
    auto* made = new (std::nothrow) erofs_inode(owner, number, compact.mode);
    if (made == nullptr) {
        return err::nomem;
    }
    ref<erofs_inode> held = ref<erofs_inode>::adopt(made);
    made->_layout.kind = static_cast<disk::layout>(kind);
    made->_layout.inode_number = number;
    const bool extended = (compact.format & 1) != 0;
    TRY(extended ? made->take_extended(offset) : made->take_compact(compact));
    const u64 head = extended ? sizeof(disk::extended_inode) : sizeof(disk::compact_inode);
    made->_xattr_offset = offset + head;
    made->_xattr_size = compact.xattr_count == 0
                            ? 0
                            : sizeof(disk::xattr_header) + 4 * (u64{compact.xattr_count} - 1);
    made->_layout.after_inode = made->_xattr_offset + made->_xattr_size;
    TRY(made->check(offset));
    if (made->is_regular()) {
        made->_pages = TRY(make_erofs_pages(owner, made->_layout));
    }
    return held;
}

result<void> erofs_inode::take_compact(const disk::compact_inode& from) {
    _layout.size = from.size;
    _layout.where = from.where;
    uid = from.uid;
    gid = from.gid;
    links = from.links;
    modified = {static_cast<i64>(owner().super().build_time), owner().super().build_time_ns};
    accessed = changed = modified;
    return {};
}

result<void> erofs_inode::take_extended(u64 offset) {
    disk::extended_inode from{};
    result<void> read = owner().metadata().read_exactly(&from, sizeof(from), offset);
    if (!read.ok()) {
        return owner().failed_read(read.error(), number, offset, "cannot read the inode");
    }
    _layout.size = from.size;
    _layout.where = from.where;
    uid = from.uid;
    gid = from.gid;
    links = from.links;
    modified = {static_cast<i64>(from.modified), std::min(from.modified_ns, 999'999'999u)};
    accessed = changed = modified;
    return {};
}

result<void> erofs_inode::check(u64 offset) {
    if (is_device(mode)) {
        special_device = _layout.where;
        _layout.size = 0;
        return {};
    }
    if (_layout.size > static_cast<u64>(INT64_MAX)) {
        return owner().damaged(number, offset, "a size of {} bytes is impossible",
                               _layout.size);
    }
    const bool plain =
        _layout.kind == disk::layout::plain || _layout.kind == disk::layout::inline_tail;
    if (plain && _layout.size > owner().image_size()) {
        return owner().damaged(number, offset, "a size of {} bytes, in an image of {}",
                               _layout.size, owner().image_size());
    }
    if (!is_regular() && !plain && _layout.kind != disk::layout::chunked) {
        return owner().damaged(number, offset, "compressed directory or link");
    }
    if (is_symlink() && (_layout.size == 0 || _layout.size >= 4096)) {
        return owner().damaged(number, offset, "a symbolic link of {} bytes", _layout.size);
    }
    return {};
}

// --- directories ---

// One block of a directory, seen in its page of the device's cache.
struct erofs_inode::directory_block : kiln::noncopyable {
    page* held = nullptr;
    const std::byte* data = nullptr;
    usize size = 0;
    u64 device_offset = 0;
    u32 count = 0;

    ~directory_block() { reset(); }
    void reset() {
        if (held != nullptr) {
            drop_page_reference(*held);
            held = nullptr;
        }
    }
    disk::directory_entry entry(u32 index) const {
        disk::directory_entry found;
        __builtin_memcpy(&found, data + index * entry_size, entry_size);
        return found;
    }
    // Empty when the entry's place is impossible.
    std::string_view name(u32 index) const {
        const usize start = entry(index).name_offset;
        const usize end = index + 1 < count ? entry(index + 1).name_offset : size;
        if (start < count * entry_size || start >= end || end > size) {
            return {};
        }
        const std::string_view text(reinterpret_cast<const char*>(data) + start, end - start);
        return text.substr(0, std::min(text.find('\0'), text.size()));
    }
};

result<void> erofs_inode::read_block(u64 block, directory_block& to) {
    to.reset();
    const u64 offset = block << owner().block_bits();
    const erofs_extent at = TRY(erofs_locate(owner(), _layout, offset));
    to.size = std::min<u64>(owner().block_size(), _layout.size - offset);
    to.device_offset = at.device_offset;
    if (at.hole || at.length < to.size || at.device_offset % page_size + to.size > page_size) {
        return owner().damaged(number, at.device_offset, "directory block crosses a page");
    }
    result<page*> found = owner().metadata().get_page(at.device_offset >> page_shift, false);
    if (!found.ok()) {
        return owner().failed_read(found.error(), number, at.device_offset,
                                   "cannot read a directory block");
    }
    to.held = found.value();
    to.data = static_cast<const std::byte*>(page_data(*to.held)) + at.device_offset % page_size;
    to.count = 0;
    if (to.size >= entry_size) {
        const usize first_name = to.entry(0).name_offset;
        to.count = static_cast<u32>(first_name / entry_size);
        if (first_name < entry_size || first_name > to.size || first_name % entry_size != 0) {
            return owner().damaged(number, to.device_offset,
                                   "directory block with impossible names");
        }
    }
    return {};
}

// An inode that cannot be read has no name yet: the entry that leads to it is said.
result<ref<inode>> erofs_inode::inode_of_entry(const directory_block& block, u32 index) {
    const u64 wanted = block.entry(index).number;
    result<ref<inode>> found = owner().inode_by_number(wanted);
    if (!found.ok() && found.error() == err::io) {
        const sentence before = last_damage();
        char buffer[erofs::longest_path_said];
        const std::string_view path = dcache::path_of_inode(owner(), number, buffer);
        note_damage("{} (the file {}/{})", before, path, block.name(index));
    }
    return found;
}

result<ref<inode>> erofs_inode::lookup_in(const directory_block& block, std::string_view name) {
    u32 low = 0;
    u32 high = block.count;
    while (low < high) {
        const u32 middle = low + (high - low) / 2;
        const std::string_view here = block.name(middle);
        if (here.empty()) {
            return owner().damaged(number, block.device_offset,
                                   "directory entry with impossible name");
        }
        if (here == name) {
            return inode_of_entry(block, middle);
        }
        if (here < name) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return err::noent;
}

// Names are sorted over all blocks: the last block whose first name is not after `name` holds it.
result<ref<inode>> erofs_inode::lookup(std::string_view name) {
    if (!is_directory()) {
        return err::notdir;
    }
    const u64 blocks = (_layout.size + owner().block_size() - 1) >> owner().block_bits();
    u64 low = 0;
    u64 high = blocks;
    directory_block block;
    while (low < high) {
        const u64 middle = low + (high - low) / 2;
        TRY(read_block(middle, block));
        if (block.count == 0 || block.name(0).empty()) {
            return owner().damaged(number, block.device_offset, "empty directory block");
        }
        if (block.name(0) > name) {
            high = middle;
        } else if (middle + 1 == high || block.name(block.count - 1) >= name) {
            return lookup_in(block, name);
        } else {
            low = middle + 1;
        }
    }
    return err::noent;
}

result<void> erofs_inode::read_directory(u64 cookie, directory_sink& sink) {
    const u64 start = cookie < first_cookie ? 0 : cookie - first_cookie + 1;
    const u64 blocks = (_layout.size + owner().block_size() - 1) >> owner().block_bits();
    u32 index = static_cast<u32>(start & ((1u << index_bits) - 1));
    directory_block block;
    for (u64 at = start >> index_bits; at < blocks; ++at, index = 0) {
        TRY(read_block(at, block));
        for (; index < block.count; ++index) {
            const std::string_view name = block.name(index);
            if (name.empty() || name.size() > 255) {
                return owner().damaged(number, block.device_offset,
                                       "directory entry with impossible name");
            }
            const disk::directory_entry entry = block.entry(index);
            if (name != "." && name != ".." &&
                !sink.add({name, entry.number, entry_type(entry.type),
                           ((at << index_bits) | index) + first_cookie})) {
                return {};
            }
        }
    }
    return {};
}

// --- links, attributes, opening ---

result<string> erofs_inode::read_link() {
    if (!is_symlink()) {
        return err::inval;
    }
    vector<std::byte> text;
    TRY(text.resize(_layout.size));
    TRY(erofs_read_plain(owner(), _layout, 0, text));
    const std::string_view whole(reinterpret_cast<const char*>(text.data()), text.size());
    return string::copy(whole.substr(0, std::min(whole.find('\0'), whole.size())));
}

result<void> erofs_inode::status(file_status& to) {
    TRY(inode::status(to));
    const bool compressed = _layout.kind == disk::layout::compressed_full ||
                            _layout.kind == disk::layout::compressed_compact;
    const u64 bytes = compressed ? u64{_layout.where} << owner().block_bits() : _layout.size;
    to.blocks = align_up(bytes, owner().block_size()) / 512;
    to.block_size = static_cast<u32>(owner().block_size());
    return {};
}

result<ref<file>> erofs_inode::open(dentry& entry, u32 flags) {
    switch (mode & mode_bit::type_mask) {
        case mode_bit::regular: return TRY(make_ref<regular_file>(entry, flags));
        case mode_bit::directory: return TRY(make_ref<directory_file>(entry, flags));
        case mode_bit::character: return open_character_device(entry, flags);
        case mode_bit::block: return open_block_device(entry, flags);
        case mode_bit::fifo: return open_fifo(_fifo, entry, flags);
        default: return err::nxio;
    }
}

// Calls visit(prefix, name, value offset, value size) for each attribute until it returns true.
template <class Visit>
result<void> erofs_inode::visit_xattrs(Visit visit) {
    if (_xattr_size == 0) {
        return {};
    }
    device_cache& from = owner().metadata();
    disk::xattr_header header{};
    TRY(from.read_exactly(&header, sizeof(header), _xattr_offset));
    const u64 end = _xattr_offset + _xattr_size;
    u64 at = _xattr_offset + sizeof(header) + 4 * u64{header.shared_count};
    if (at > end) {
        return owner().damaged(number, _xattr_offset, "too many shared attributes");
    }
    auto visit_one = [&](u64 offset, u64& next) -> result<bool> {
        disk::xattr_entry entry{};
        char name[256];
        TRY(from.read_exactly(&entry, sizeof(entry), offset));
        TRY(from.read_exactly(name, entry.name_length, offset + sizeof(entry)));
        const u64 value = offset + sizeof(entry) + entry.name_length;
        next = align_up(value + entry.value_size, 4);
        if (entry.name_index >= std::size(xattr_prefixes) || entry.name_index == 0) {
            return false;  // prefixes of newer formats
        }
        return visit(xattr_prefixes[entry.name_index], std::string_view(name, entry.name_length),
                     value, usize{entry.value_size});
    };
    for (u32 i = 0; i < header.shared_count; ++i) {
        u32 place = 0;
        u64 ignored = 0;
        TRY(from.read_exactly(&place, sizeof(place), _xattr_offset + sizeof(header) + 4 * u64{i}));
        const u64 table = u64{owner().super().xattr_block} << owner().block_bits();
        if (TRY(visit_one(table + 4 * u64{place}, ignored))) {
            return {};
        }
    }
    while (at + sizeof(disk::xattr_entry) <= end) {
        u64 next = 0;
        if (TRY(visit_one(at, next))) {
            return {};
        }
        at = next;
    }
    return {};
}

result<usize> erofs_inode::get_xattr(std::string_view name, std::span<std::byte> to) {
    bool found = false;
    usize length = 0;
    result<void> copied;
    TRY(visit_xattrs([&](std::string_view prefix, std::string_view rest, u64 value, usize size) {
        if (name.size() != prefix.size() + rest.size() || !name.starts_with(prefix) ||
            !name.ends_with(rest)) {
            return false;
        }
        found = true;
        length = size;
        if (!to.empty()) {
            const bool fits = to.size() >= size;
            copied = fits ? owner().metadata().read_exactly(to.data(), size, value) : err::range;
        }
        return true;
    }));
    TRY(std::move(copied));
    return found ? result<usize>(length) : err::nodata;
}

result<usize> erofs_inode::list_xattrs(std::span<std::byte> to) {
    usize used = 0;
    bool fits = true;
    auto put = [&](std::string_view text) {
        if (!to.empty() && used + text.size() <= to.size()) {
            std::copy(text.begin(), text.end(), reinterpret_cast<char*>(to.data()) + used);
        }
        used += text.size();
        fits = fits && (to.empty() || used <= to.size());
    };
    TRY(visit_xattrs([&](std::string_view prefix, std::string_view rest, u64, usize) {
        put(prefix);
        put(rest);
        put(std::string_view("\0", 1));
        return false;
    }));
    return fits ? result<usize>(used) : err::range;
}

}  // namespace kiln
