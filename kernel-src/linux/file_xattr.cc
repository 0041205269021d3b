// Extended attributes.
#include "linux/path_arguments.hh"
#include "linux/syscall.hh"

namespace kiln {
namespace {

constexpr usize longest_name = 255, largest_value = 65536;

result<string> copy_name(u64 address) {
    result<string> name = copy_string_from_user(address, longest_name);
    if (!name.ok()) {
        return name.error() == err::nametoolong ? err::range : name.error();
    }
    if (name.value().empty()) {
        return err::range;
    }
    return name;
}

result<ref<inode>> descriptor_inode(int fd) {
    ref<file> open = TRY(get_real_file(fd));
    if (open->get_inode() == nullptr) {
        return err::opnotsupp;
    }
    return ref<inode>(open->get_inode());
}

result<ref<inode>> path_inode(u64 path, bool follow) {
    return find_inode(at_flag::working_directory, path, follow ? 0 : at_flag::symlink_nofollow);
}

// Names outside the known classes have no handler.
bool known_class(std::string_view name) {
    return name.starts_with("user.") || name.starts_with("trusted.") ||
           name.starts_with("security.") || name.starts_with("system.");
}

template <class Read>
result<i64> give(u64 to, usize size, Read read) {
    vector<std::byte> bytes;
    TRY(bytes.resize(size < largest_value ? size : largest_value));
    const usize length = TRY(read(std::span<std::byte>(bytes)));
    if (size != 0) {
        TRY(copy_to_user(to, bytes.data(), length));
    }
    return static_cast<i64>(length);
}

result<i64> get_attribute(result<ref<inode>> found, u64 name_address, u64 to, usize size) {
    ref<inode> target = TRY(std::move(found));
    string name = TRY(copy_name(name_address));
    if (!known_class(name)) {
        return err::opnotsupp;
    }
    return give(to, size,
                [&](std::span<std::byte> bytes) { return target->get_xattr(name, bytes); });
}

result<i64> list_attributes(result<ref<inode>> found, u64 to, usize size) {
    ref<inode> target = TRY(std::move(found));
    return give(to, size, [&](std::span<std::byte> bytes) { return target->list_xattrs(bytes); });
}

result<i64> set_attribute(result<ref<inode>> found, u64 name_address, u64 from, usize size,
                          i32 flags) {
    constexpr i32 create = 1, replace = 2;
    ref<inode> target = TRY(std::move(found));
    if ((flags & ~(create | replace)) != 0) {
        return err::inval;
    }
    string name = TRY(copy_name(name_address));
    if (size > largest_value) {
        return err::too_big;
    }
    vector<std::byte> value;
    TRY(value.resize(size));
    TRY(copy_from_user(value.data(), from, size));
    TRY(target->set_xattr(name, value, flags));
    return 0;
}

result<i64> remove_attribute(result<ref<inode>> found, u64 name_address) {
    ref<inode> target = TRY(std::move(found));
    string name = TRY(copy_name(name_address));
    TRY(target->remove_xattr(name));
    return 0;
}

}  // namespace

SYSCALL(getxattr, u64 path, u64 name, u64 to, usize size) {
    return get_attribute(path_inode(path, true), name, to, size);
}
SYSCALL(lgetxattr, u64 path, u64 name, u64 to, usize size) {
    return get_attribute(path_inode(path, false), name, to, size);
}
SYSCALL(fgetxattr, int fd, u64 name, u64 to, usize size) {
    return get_attribute(descriptor_inode(fd), name, to, size);
}
SYSCALL(listxattr, u64 path, u64 to, usize size) {
    return list_attributes(path_inode(path, true), to, size);
}
SYSCALL(llistxattr, u64 path, u64 to, usize size) {
    return list_attributes(path_inode(path, false), to, size);
}
SYSCALL(flistxattr, int fd, u64 to, usize size) {
    return list_attributes(descriptor_inode(fd), to, size);
}
SYSCALL(setxattr, u64 path, u64 name, u64 from, usize size, i32 flags) {
    return set_attribute(path_inode(path, true), name, from, size, flags);
}
SYSCALL(lsetxattr, u64 path, u64 name, u64 from, usize size, i32 flags) {
    return set_attribute(path_inode(path, false), name, from, size, flags);
}
SYSCALL(fsetxattr, int fd, u64 name, u64 from, usize size, i32 flags) {
    return set_attribute(descriptor_inode(fd), name, from, size, flags);
}
SYSCALL(removexattr, u64 path, u64 name) {
    return remove_attribute(path_inode(path, true), name);
}
SYSCALL(lremovexattr, u64 path, u64 name) {
    return remove_attribute(path_inode(path, false), name);
}
SYSCALL(fremovexattr, int fd, u64 name) {
    return remove_attribute(descriptor_inode(fd), name);
}

}  // namespace kiln
