#include "fs/partition.hh"

#include <utility>

#include "fs/damage.hh"
#include "lib/bytes.hh"
#include "lib/checksum.hh"
#include "lib/format.hh"
#include "lib/string.hh"
#include "lib/vector.hh"

namespace kiln {
namespace {

constexpr u64 sector = 512;
constexpr u64 header_magic = 0x5452415020494645;  // "EFI PART"
constexpr usize header_size = 92;
constexpr u32 most_entries = 1024;
constexpr usize name_units = 36;

struct gpt_header {
    u64 magic;
    u32 revision;
    u32 size;
    u32 checksum;
    u32 reserved;
    u64 own_sector;
    u64 other_sector;
    u64 first_usable;
    u64 last_usable;
    u8 disk_id[16];
    u64 entries_sector;
    u32 entry_count;
    u32 entry_size;
    u32 entries_checksum;
} __attribute__((packed));
static_assert(sizeof(gpt_header) == header_size);

struct gpt_entry {
    u8 type[16];
    u8 id[16];
    u64 first;
    u64 last;
    u64 attributes;
    u16 name[name_units];
} __attribute__((packed));
static_assert(sizeof(gpt_entry) == 128);

class partition final : public block_device {
public:
    partition(block_device& disk, u32 index, u64 start, u64 size)
        : _disk(disk), _start(start), _size(size) {
        // As Linux names them.
        const char last = disk.name().back();
        const std::string_view between = last >= '0' && last <= '9' ? "p" : "";
        _name_length = format_to(_name, "{}{}{}", disk.name(), between, index);
        whole = &disk;
        partitions_known = true;
    }
    std::string_view name() const override { return {_name, _name_length}; }
    u64 size_in_bytes() const override { return _size; }
    bool read_only() const override { return _disk.read_only(); }
    u32 logical_sector_size() const override { return _disk.logical_sector_size(); }
    result<void> read(u64 offset, std::span<std::byte> into) override {
        TRY(check(offset, into.size()));
        return _disk.read(_start + offset, into);
    }
    result<void> read_scattered(u64 offset, std::span<const std::span<std::byte>> into) override {
        u64 length = 0;
        for (const std::span<std::byte> piece : into) {
            length += piece.size();
        }
        TRY(check(offset, length));
        return _disk.read_scattered(_start + offset, into);
    }
    result<void> write(u64 offset, std::span<const std::byte> from) override {
        TRY(check(offset, from.size()));
        return _disk.write(_start + offset, from);
    }
    result<void> flush() override { return _disk.flush(); }
    bool can_discard() const override { return _disk.can_discard(); }
    result<void> discard(u64 offset, u64 length) override {
        TRY(check(offset, length));
        return _disk.discard(_start + offset, length);
    }

private:
    result<void> check(u64 offset, u64 length) const {
        return offset <= _size && length <= _size - offset ? result<void>() : err::inval;
    }

    block_device& _disk;
    const u64 _start;
    const u64 _size;
    char _name[40];
    usize _name_length = 0;
};

bool named(const gpt_entry& entry, std::string_view name) {
    if (name.size() > name_units) {
        return false;
    }
    for (usize i = 0; i < name_units; ++i) {
        const u16 unit = load<u16>(reinterpret_cast<const std::byte*>(&entry) +
                                   offsetof(gpt_entry, name) + 2 * i);
        if (unit != (i < name.size() ? static_cast<u8>(name[i]) : 0)) {
            return false;
        }
    }
    return true;
}

// Reads the header at a sector and checks it; false when there is none or it is damaged.
bool read_header(block_device& disk, u64 at, gpt_header& header) {
    // Not on the stack: devices reach only memory of the direct map.
    vector<std::byte> bytes;
    if (!bytes.resize(sector).ok() || !disk.read(at, bytes).ok() ||
        load<u64>(bytes.data()) != header_magic) {
        return false;
    }
    __builtin_memcpy(&header, bytes.data(), sizeof(header));
    if (header.size < header_size || header.size > sector) {
        return false;
    }
    store<u32>(bytes.data() + offsetof(gpt_header, checksum), 0);
    if (crc32({bytes.data(), header.size}) != header.checksum) {
        note_damage("{}: the GPT header at offset {} has a wrong checksum", disk.name(), at);
        return false;
    }
    return true;
}

result<vector<std::byte>> read_entries(block_device& disk, const gpt_header& header) {
    if (header.entry_size < sizeof(gpt_entry) || header.entry_size > 4096 ||
        header.entry_count > most_entries ||
        header.entries_sector > disk.size_in_bytes() / sector) {
        return err::io;
    }
    vector<std::byte> bytes;
    TRY(bytes.resize(usize{header.entry_size} * header.entry_count));
    TRY(disk.read(header.entries_sector * sector, bytes));
    if (crc32(bytes) != header.entries_checksum) {
        note_damage("{}: the GPT entries at offset {} have a wrong checksum", disk.name(),
                    header.entries_sector * sector);
        return err::io;
    }
    return bytes;
}

bool is_used(const gpt_entry& entry) {
    constexpr u8 unused[sizeof(entry.type)]{};
    return __builtin_memcmp(entry.type, unused, sizeof(unused)) != 0;
}

// Whether an entry can be a partition; what is wrong with the wanted one is said.
bool fits(const gpt_entry& entry, block_device& disk, std::string_view wanted) {
    const u64 size = disk.size_in_bytes();
    if (entry.first <= entry.last && entry.last < size / sector) {
        return true;
    }
    if (named(entry, wanted)) {
        note_damage("{}: truncated at offset {}: partition {} ends at {}", disk.name(), size,
                    wanted, (entry.last + 1) * sector);
    }
    return false;
}

block_device* register_partition(block_device& disk, u32 number, const gpt_entry& entry) {
    auto* made = new (std::nothrow) partition(disk, number, entry.first * sector,
                                              (entry.last - entry.first + 1) * sector);
    if (made != nullptr) {
        register_block_device(*made);
    }
    return made;
}

}  // namespace

block_device* find_partition(block_device& disk, std::string_view name) {
    gpt_header header;
    const u64 size = disk.size_in_bytes();
    if (std::exchange(disk.partitions_known, true) || size < 4 * sector ||
        (!read_header(disk, sector, header) &&
         !read_header(disk, align_down(size, sector) - sector, header))) {
        return nullptr;
    }
    result<vector<std::byte>> entries = read_entries(disk, header);
    if (!entries.ok()) {
        return nullptr;
    }
    block_device* wanted = nullptr;
    for (u32 i = 0; i < header.entry_count; ++i) {
        gpt_entry entry;
        __builtin_memcpy(&entry, entries.value().data() + usize{i} * header.entry_size,
                         sizeof(entry));
        if (!is_used(entry) || !fits(entry, disk, name)) {
            continue;
        }
        block_device* const made = register_partition(disk, i + 1, entry);
        wanted = wanted == nullptr && named(entry, name) ? made : wanted;
    }
    return wanted;
}

}  // namespace kiln
