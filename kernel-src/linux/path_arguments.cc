#include "linux/path_arguments.hh"

#include "core/user.hh"

namespace kiln {

result<string> copy_path(u64 address) {
    return copy_string_from_user(address, path_max - 1);
}

result<ref<dentry>> directory_of(int descriptor, std::string_view path) {
    if (path.empty()) {
        return err::noent;  // before the descriptor is looked at
    }
    if (path.front() == '/') {
        return root_directory();
    }
    if (descriptor == at_flag::working_directory) {
        return working_directory();
    }
    ref<file> open = TRY(get_file(descriptor));
    dentry* const entry = open->get_dentry();
    if (entry == nullptr) {
        return err::notdir;
    }
    return ref<dentry>(entry);
}

namespace {

// An empty path with AT_EMPTY_PATH: the descriptor itself.
result<path_target> target_of_descriptor(int descriptor) {
    path_target found;
    if (descriptor == at_flag::working_directory) {
        found.entry = working_directory();
        return found;
    }
    found.open = TRY(get_file(descriptor));
    return found;
}

}  // namespace

result<path_target> find_target(int descriptor, u64 path_address, u32 flags) {
    string path = TRY(copy_path(path_address));
    if (path.empty() && (flags & at_flag::empty_path) != 0) {
        return target_of_descriptor(descriptor);
    }
    ref<dentry> start = TRY(directory_of(descriptor, path));
    walk_result found =
        TRY(walk(*start, path, {.follow_last = (flags & at_flag::symlink_nofollow) == 0}));
    return path_target{std::move(found.entry), std::move(found.open)};
}

result<ref<inode>> find_inode(int descriptor, u64 path_address, u32 flags) {
    const path_target found = TRY(find_target(descriptor, path_address, flags));
    inode* const node = found.node();
    if (node == nullptr) {
        return err::perm;
    }
    return ref<inode>(node);
}

result<ref<file>> get_real_file(int fd) {
    ref<file> open = TRY(get_file(fd));
    if ((open->flags() & open_flag::path) != 0) {
        return err::badf;
    }
    return open;
}

}  // namespace kiln
