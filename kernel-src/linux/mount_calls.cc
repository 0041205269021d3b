// mount and umount: tmpfs, proc, sysfs and devtmpfs can be mounted; others are not there.
#include "fs/mount.hh"
#include "fs/pseudo_fs.hh"
#include "fs/tmpfs.hh"
#include "linux/path_arguments.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

constexpr u64 flag_remount = 32, flag_bind = 4096, flag_move = 8192, flag_propagation = 0x1e0000;

// size= of tmpfs: bytes with k, m, g, or % of memory.
result<u64> parse_size(std::string_view text) {
    u64 value = 0;
    usize at = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        if (value > ~u64{0} / 16) {
            return err::inval;
        }
        value = value * 10 + static_cast<u64>(text[at++] - '0');
    }
    const std::string_view unit = text.substr(at);
    if (at == 0 || unit.size() > 1) {
        return err::inval;
    }
    switch (unit.empty() ? ' ' : unit[0] | 0x20) {
        case ' ': return value;
        case 'k': return value * KiB;
        case 'm': return value * MiB;
        case 'g': return value * GiB;
        case '%' | 0x20: return memory_now().total_pages * page_size / 100 * value;
        default: return err::inval;
    }
}

result<void> read_option(std::string_view option, u64& size, u32& mode) {
    if (option.starts_with("size=")) {
        size = TRY(parse_size(option.substr(5)));
    } else if (option.starts_with("mode=")) {
        mode = 0;
        for (const char digit : option.substr(5)) {
            if (digit < '0' || digit > '7') {
                return err::inval;
            }
            mode = mode * 8 + static_cast<u32>(digit - '0');
        }
    }
    return {};
}

result<superblock*> make_tmpfs(std::string_view options) {
    u64 size = 0;
    u32 mode = 01777;
    while (!options.empty()) {
        const std::string_view option = options.substr(0, options.find(','));
        options.remove_prefix(std::min(option.size() + 1, options.size()));
        TRY(read_option(option, size, mode));
    }
    return static_cast<superblock*>(TRY(tmpfs::make(size, 0, mode & 07777)));
}

}  // namespace

SYSCALL(mount, u64, u64 path_address, u64 type_address, u64 flags, u64 data_address) {
    string path = TRY(copy_path(path_address));
    ref<dentry> start = working_directory();
    ref<dentry> directory = TRY(resolve(*start, path));
    if ((flags & (flag_remount | flag_propagation)) != 0) {
        return 0;
    }
    if ((flags & (flag_bind | flag_move)) != 0) {
        return err::inval;
    }
    string type = TRY(copy_string_from_user(type_address, 64));
    string options;
    if (data_address != 0) {
        options = TRY(copy_string_from_user(data_address, page_size - 1));
    }
    if (type.view() != "tmpfs") {
        return err::nodev;
    }
    superblock* const made = TRY(make_tmpfs(options));
    TRY(mount_on(*directory, *made));
    return 0;
}

SYSCALL(umount2, u64 path_address, u32) {
    string path = TRY(copy_path(path_address));
    ref<dentry> start = working_directory();
    ref<dentry> root = TRY(resolve(*start, path));
    TRY(unmount(*root));
    return 0;
}

}  // namespace kiln
