#include "fs/erofs.hh"

#include <algorithm>

#include "fs/dentry.hh"
#include "fs/pipe.hh"
#include "lib/bytes.hh"
#include "lib/checksum.hh"
#include "lib/vector.hh"

namespace kiln {
namespace {

namespace disk = erofs_format;

constexpr u64 erofs_magic = 0xe0f5e1e2;
constexpr u32 smallest_block_bits = 9;
constexpr u32 largest_block_bits = 12;

}  // namespace

bool erofs::detect(block_device& device) {
    const u64 size = device.size_in_bytes();
    if (size < disk::superblock_offset + sizeof(disk::superblock)) {
        return false;
    }
    // Not on the stack: devices reach only memory of the direct map.
    vector<std::byte> sector;
    if (!sector.resize(512).ok() || !device.read(disk::superblock_offset, sector).ok()) {
        return false;
    }
    return load<u32>(sector.data()) == disk::magic;
}

result<erofs*> erofs::mount(block_device& device) {
    auto* made = new (std::nothrow) erofs(device);
    if (made == nullptr) {
        return err::nomem;
    }
    result<void> outcome = made->read_superblock();
    if (!outcome.ok()) {
        delete made;
        return outcome.error();
    }
    return made;
}

result<void> erofs::read_superblock() {
    _metadata = TRY(make_ref<device_cache>(_device));
    TRY(source.append("/dev/"));
    TRY(source.append(_device.name()));
    const result<void> read =
        _metadata->read_exactly(&_super, sizeof(_super), disk::superblock_offset);
    if (!read.ok()) {
        if (read.error() == err::io) {
            note_damage("{}: cannot read the superblock at offset 1024", _device.name());
        }
        return read.error();
    }
    if (_super.magic != disk::magic) {
        note_damage("{}: wanted the EROFS magic e0f5e1e2 at offset 1024, found {:08x}",
                    _device.name(), _super.magic);
        return err::inval;
    }
    TRY(check_checksum());
    TRY(check_features());
    return image_size() > _device.size_in_bytes() ? truncated() : result<void>();
}

err erofs::truncated() const {
    note_damage("{}: truncated at offset {}: the superblock at offset 1024 says {} bytes",
                _device.name(), _device.size_in_bytes(), image_size());
    return err::io;
}

result<void> erofs::check_features() const {
    if (_super.block_bits < smallest_block_bits || _super.block_bits > largest_block_bits) {
        note_damage("{}: blocks of 2^{} bytes are not supported", _device.name(),
                    _super.block_bits);
        return err::inval;
    }
    const u32 unknown = _super.incompatible_features & ~disk::incompatible::known;
    if ((unknown & disk::incompatible::tail_packing) != 0) {
        note_damage("{}: made with -Eztailpacking, which is not supported", _device.name());
        return err::inval;
    }
    if ((unknown & disk::incompatible::fragments) != 0) {
        note_damage("{}: made with -Efragments or -Ededupe, which are not supported",
                  _device.name());
        return err::inval;
    }
    if (unknown != 0) {
        note_damage("{}: unsupported features {:x}", _device.name(), unknown);
        return err::inval;
    }
    if (has(disk::incompatible::device_table) && _super.extra_devices != 0) {
        note_damage("{}: parts of it are on {} other devices, which is not supported",
                  _device.name(), _super.extra_devices);
        return err::inval;
    }
    return {};
}

// CRC-32C from the superblock to the end of its block, with the field itself as zero. It comes before
// all else, as the rest means nothing in a damaged superblock; who wrote no checksum left it zero.
result<void> erofs::check_checksum() {
    if ((_super.compatible_features & disk::compatible::checksum) == 0 && _super.checksum == 0) {
        return {};
    }
    const u32 block_bits = std::clamp<u32>(_super.block_bits, 11, largest_block_bits);
    const u64 end = u64{1} << block_bits;
    if (end > _device.size_in_bytes()) {
        return truncated();
    }
    vector<std::byte> bytes;
    TRY(bytes.resize(end - disk::superblock_offset));
    TRY(_metadata->read_exactly(bytes.data(), bytes.size(), disk::superblock_offset));
    store<u32>(bytes.data() + offsetof(disk::superblock, checksum), 0);
    const u32 found = crc32c(~0u, bytes);
    if (found != _super.checksum) {
        note_damage("{}: the first block is damaged: the superblock's checksum at offset 1028 is "
                    "{:08x}, computed {:08x}", _device.name(), _super.checksum, found);
        return err::io;
    }
    return {};
}

result<ref<inode>> erofs::root() {
    ref<inode> top = TRY(inode_by_number(_super.root_number));
    if (!top->is_directory()) {
        return damaged(_super.root_number, inode_offset(_super.root_number),
                       "the root is no directory");
    }
    return top;
}

void erofs::status(filesystem_status& to) {
    to.magic = erofs_magic;
    to.block_size = block_size();
    to.blocks = _super.blocks;
    to.files = _super.inode_count;
}

err erofs::say_damage(u64 inode_number, u64 offset, std::string_view what) const {
    char buffer[longest_path_said];
    const std::string_view path = inode_number == _super.root_number
                                      ? std::string_view("/")
                                      : dcache::path_of_inode(*this, inode_number, buffer);
    note_damage("{}: {}{}inode {} at offset {}: {}", _device.name(), path, path.empty() ? "" : ", ",
                inode_number, offset, what);
    return err::io;
}

ref<erofs_inode> erofs::find(u64 number) {
    lock_guard guard(_lock);
    for (erofs_inode* at = _buckets[number % bucket_count]; at != nullptr;
         at = at->next_in_bucket) {
        if (at->number == number && at->try_add_reference()) {
            return ref<erofs_inode>::adopt(at);
        }
    }
    return nullptr;
}

result<ref<inode>> erofs::inode_by_number(u64 number) {
    if (ref<erofs_inode> known = find(number)) {
        return ref<inode>(std::move(known));
    }
    ref<erofs_inode> made = TRY(erofs_inode::load(*this, number));
    lock_guard guard(_lock);
    erofs_inode*& head = _buckets[number % bucket_count];
    for (erofs_inode* at = head; at != nullptr; at = at->next_in_bucket) {
        if (at->number == number && at->try_add_reference()) {
            // `made` was never listed; forget() does not find it.
            return ref<inode>(ref<erofs_inode>::adopt(at));
        }
    }
    made->next_in_bucket = head;
    head = made.get();
    return ref<inode>(std::move(made));
}

void erofs::forget(erofs_inode& gone) {
    lock_guard guard(_lock);
    erofs_inode** place = &_buckets[gone.number % bucket_count];
    while (*place != nullptr && *place != &gone) {
        place = &(*place)->next_in_bucket;
    }
    if (*place != nullptr) {
        *place = gone.next_in_bucket;
    }
}

// --- the device's page cache ---

usize device_cache::read_window(u64 index, u64& first) {
    constexpr u64 window = 16;
    first = align_down(index, window);
    const u64 end = (size() + page_size - 1) >> page_shift;
    return std::min(window, end - first);
}

result<void> device_cache::fill(u64 first, std::span<page* const> pages) {
    const u64 offset = first << page_shift;
    return read_pages(_device, offset, std::min<u64>(size() - offset, pages.size() * page_size),
                      pages);
}

result<void> read_pages(block_device& device, u64 offset, u64 bytes, std::span<page* const> pages) {
    std::span<std::byte> pieces[64];
    usize count = 0;
    u64 left = bytes;
    for (page* target : pages) {
        auto* data = static_cast<std::byte*>(page_data(*target));
        const usize length = std::min<u64>(left, page_size);
        if (length < page_size) {
            __builtin_memset(data + length, 0, page_size - length);
        }
        left -= length;
        if (length == 0) {
            continue;
        }
        std::span<std::byte>* const last = count != 0 ? &pieces[count - 1] : nullptr;
        if (last != nullptr && last->data() + last->size() == data) {
            *last = {last->data(), last->size() + length};
        } else if (count < 64) {
            pieces[count++] = {data, length};
        } else {
            return err::inval;
        }
    }
    if (count == 0) {
        return {};
    }
    device.count_read(bytes);
    const result<void> outcome = device.read_scattered(offset, {pieces, count});
    if (!outcome.ok()) {
        note_damage("{}: the {} bytes at offset {} cannot be read", device.name(), bytes, offset);
    }
    return outcome;
}

}  // namespace kiln
