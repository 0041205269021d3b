// What an inode does that its file system does not do: refuse with Linux's errno.
#include "fs/inode.hh"

#include "core/clock.hh"
#include "fs/dentry.hh"
#include "fs/file_lock.hh"
#include "fs/inotify.hh"

namespace kiln {
namespace {

constinit std::atomic<u32> next_device{20};

}  // namespace

timestamp timestamp_now() {
    const u64 ns = realtime_now();
    return {static_cast<i64>(ns / ns_per_s), static_cast<u32>(ns % ns_per_s)};
}

superblock::superblock(std::string_view type_name)
    : type(type_name),
      device(make_device(0, next_device.fetch_add(1, std::memory_order_relaxed))) {}

inode::inode(superblock& owner, u64 inode_number, u32 initial_mode)
    : filesystem(owner), number(inode_number), mode(initial_mode) {}

inode::~inode() {
    free_lock_list(locks.load());
    free_inotify_list(watches.load());
}

err inode::refusal() const {
    return filesystem.read_only() ? err::rofs : err::perm;
}

result<ref<inode>> inode::lookup(std::string_view) {
    return err::notdir;
}

result<void> inode::read_directory(u64, directory_sink&) {
    return err::notdir;
}

result<ref<inode>> inode::create(std::string_view, u32, u64) {
    return refusal();
}

result<ref<inode>> inode::create_symlink(std::string_view, std::string_view) {
    return refusal();
}

result<void> inode::link(std::string_view, inode&) {
    return refusal();
}

result<void> inode::unlink(std::string_view, inode&) {
    return refusal();
}

result<void> inode::remove_directory(std::string_view, inode&) {
    return refusal();
}

result<void> inode::rename(std::string_view, inode&, inode&, std::string_view, inode*, bool) {
    return refusal();
}

result<ref<inode>> inode::create_unnamed(u32) {
    return err::opnotsupp;
}

result<string> inode::read_link() {
    return err::inval;
}

result<link_target> inode::follow_magic() {
    return err::loop;
}

result<void> inode::status(file_status& to) {
    to = {};
    to.device = filesystem.device;
    to.inode_number = number;
    to.mode = mode;
    to.links = links;
    to.uid = uid;
    to.gid = gid;
    to.special_device = special_device;
    to.size = size();
    to.blocks = (to.size + 511) / 512;
    to.accessed = accessed;
    to.modified = modified;
    to.changed = changed;
    to.created = created;
    to.has_created = created.seconds != 0;
    return {};
}

result<void> inode::change(const attribute_change& what) {
    if (filesystem.read_only()) {
        return err::rofs;
    }
    if (what.set_mode) {
        mode = (mode & mode_bit::type_mask) | (what.mode & mode_bit::permissions);
    }
    uid = what.set_uid ? what.uid : uid;
    gid = what.set_gid ? what.gid : gid;
    accessed = what.set_accessed ? what.accessed : accessed;
    modified = what.set_modified ? what.modified : modified;
    changed = timestamp_now();
    return {};
}

result<ref<file>> inode::open(dentry&, u32) {
    return err::nxio;
}

result<void> inode::resize(u64) {
    return filesystem.read_only() ? err::rofs : err::inval;
}

result<void> inode::allocate(int, u64, u64) {
    return err::opnotsupp;
}

result<void> inode::prepare_write(u64, u64) {
    return refusal();
}

result<usize> inode::get_xattr(std::string_view, std::span<std::byte>) {
    return err::opnotsupp;
}

result<usize> inode::list_xattrs(std::span<std::byte>) {
    return usize{0};
}

result<void> inode::set_xattr(std::string_view, std::span<const std::byte>, int) {
    return filesystem.read_only() ? err::rofs : err::opnotsupp;
}

result<void> inode::remove_xattr(std::string_view) {
    return filesystem.read_only() ? err::rofs : err::opnotsupp;
}

void touch_modified(inode& changed) {
    changed.modified = changed.changed = timestamp_now();
}

}  // namespace kiln
