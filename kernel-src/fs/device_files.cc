#include "fs/device_files.hh"

#include <algorithm>

#include "core/entropy.hh"
#include "fs/block_device.hh"
#include "fs/console_file.hh"
#include "fs/inode_file.hh"
#include "fs/partition.hh"
#include "fs/tmpfs.hh"
#include "mm/shared_memory.hh"

namespace kiln {
namespace {

// Device numbers are Linux's (Documentation/admin-guide/devices.txt).
constexpr u32 memory_major = 1, terminal_major = 5;
enum memory_minor : u32 { null = 3, zero = 5, full = 7, random = 8, urandom = 9, kmsg = 11 };
enum terminal_minor : u32 { tty = 0, console = 1 };

// Devices have a name, but no position that matters.
class device_file : public inode_file {
public:
    using inode_file::inode_file;
    bool seekable() const override { return true; }
    result<u64> seek(i64, int) override { return u64{0}; }
    result<void> sync(bool) override { return err::inval; }
    result<usize> write(io_vector& from, u64&) override { return from.remaining(); }
    bool pollable() const override { return false; }
};

class null_file final : public device_file {
public:
    using device_file::device_file;
    result<usize> read(io_vector&, u64&) override { return usize{0}; }
    bool is_splice_target() const override { return true; }
};

class zero_file : public device_file {
public:
    using device_file::device_file;
    result<usize> read(io_vector& to, u64&) override { return to.put_zeros(to.remaining()); }
    bool is_splice_source() const override { return true; }
    bool is_splice_target() const override { return true; }
    result<ref<vm_object>> mapping(bool) override { return make_shared_memory(~u64{0} >> 1); }
};

class full_file final : public zero_file {
public:
    using zero_file::zero_file;
    result<usize> write(io_vector&, u64&) override { return err::nospc; }
    bool is_splice_target() const override { return false; }
};

class random_file final : public device_file {
public:
    using device_file::device_file;
    bool pollable() const override { return true; }
    bool is_splice_source() const override { return true; }
    bool is_splice_target() const override { return true; }
    result<usize> read(io_vector& to, u64&) override {
        usize done = 0;
        while (to.remaining() != 0) {
            std::byte bytes[256];
            const usize piece = std::min(to.remaining(), sizeof(bytes));
            random_bytes({bytes, piece});
            result<usize> moved = to.put(bytes, piece);
            if (!moved.ok()) {
                return done != 0 ? result<usize>(done) : moved.error();
            }
            done += moved.value();
            if (moved.value() < piece) {
                break;
            }
        }
        return done;
    }
    result<usize> write(io_vector& from, u64&) override {
        std::byte bytes[256];
        usize done = 0;
        while (from.remaining() != 0) {
            const usize moved = TRY(from.take(bytes, std::min(from.remaining(), sizeof(bytes))));
            add_entropy({bytes, moved});
            done += moved;
        }
        return done;
    }
    result<i64> ioctl(u32 command, u64 argument) override {
        constexpr u32 get_entropy_count = 0x80045200;  // RNDGETENTCNT
        if (command != get_entropy_count) {
            return err::inval;
        }
        TRY(user_ptr<i32>(argument).write(256));
        return 0;
    }
};

result<ref<file>> open_memory_device(u32 minor, dentry& entry, u32 flags) {
    switch (minor) {
        case null: return TRY(make_ref<null_file>(entry, flags));
        case zero: return TRY(make_ref<zero_file>(entry, flags));
        case full: return TRY(make_ref<full_file>(entry, flags));
        case random:
        case urandom: return TRY(make_ref<random_file>(entry, flags));
        default: return err::nxio;
    }
}

struct node_name {
    std::string_view name;
    u32 mode;
    u64 device;
};
constexpr node_name nodes[] = {
    {"null", 0666, make_device(memory_major, null)},
    {"zero", 0666, make_device(memory_major, zero)},
    {"full", 0666, make_device(memory_major, full)},
    {"random", 0666, make_device(memory_major, random)},
    {"urandom", 0666, make_device(memory_major, urandom)},
    {"tty", 0666, make_device(terminal_major, tty)},
    {"console", 0600, make_device(terminal_major, console)},
};

struct link_name {
    std::string_view name;
    std::string_view target;
};
constexpr link_name links[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

// Partitions are looked for here, on the disks where the root was not.
result<void> add_block_nodes(inode& root) {
    constexpr u32 disk_group = 6;
    for (block_device* at = first_block_device(); at != nullptr; at = next_block_device(*at)) {
        static_cast<void>(find_partition(*at, ""));
        ref<inode> node = TRY(root.create(at->name(), mode_bit::block | 0660, at->device_number));
        node->gid = disk_group;
    }
    return {};
}

}  // namespace

result<ref<file>> open_character_device(dentry& entry, u32 flags) {
    const u64 device = entry.target()->special_device;
    switch (device_major(device)) {
        case memory_major: return open_memory_device(device_minor(device), entry, flags);
        case terminal_major:
            return device_minor(device) == tty ? open_controlling_terminal(flags)
                                               : open_console(flags);
        default: return err::nxio;
    }
}

result<superblock*> make_device_filesystem() {
    tmpfs* const made = TRY(tmpfs::make(0, 0, 0755, "devtmpfs"));
    ref<inode> root = TRY(made->root());
    lock_guard guard(root->lock);
    for (const node_name& node : nodes) {
        TRY(root->create(node.name, mode_bit::character | node.mode, node.device));
    }
    for (const link_name& link : links) {
        TRY(root->create_symlink(link.name, link.target));
    }
    TRY(add_block_nodes(*root));
    return static_cast<superblock*>(made);
}

}  // namespace kiln
