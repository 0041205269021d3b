// Extended attributes of tmpfs: kept with the inode. The classes that Linux's tmpfs has.
#include <algorithm>

#include "fs/pipe.hh"
#include "fs/tmpfs_nodes.hh"

namespace kiln {
namespace {

constexpr int create_only = 1, replace_only = 2;
constexpr usize largest_total = 65536;

bool stored(std::string_view name) {
    return name.starts_with("user.") || name.starts_with("trusted.") ||
           name.starts_with("security.");
}

// Access lists can be asked for, and there are none.
bool access_list(std::string_view name) {
    return name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

}  // namespace

usize tmpfs_inode::find_attribute(std::string_view name) const {
    usize at = 0;
    while (at < _attributes.size() && _attributes[at].name.view() != name) {
        ++at;
    }
    return at;
}

result<usize> tmpfs_inode::get_xattr(std::string_view name, std::span<std::byte> to) {
    if (!stored(name)) {
        return access_list(name) ? err::nodata : err::opnotsupp;
    }
    lock_guard guard(lock);
    const usize at = find_attribute(name);
    if (at == _attributes.size()) {
        return err::nodata;
    }
    const vector<std::byte>& value = _attributes[at].value;
    if (!to.empty() && to.size() < value.size()) {
        return err::range;
    }
    if (!to.empty()) {
        std::copy(value.begin(), value.end(), to.begin());
    }
    return value.size();
}

result<usize> tmpfs_inode::list_xattrs(std::span<std::byte> to) {
    lock_guard guard(lock);
    usize length = 0;
    for (const tmpfs_attribute& one : _attributes) {
        length += one.name.size() + 1;
    }
    if (!to.empty() && length > to.size()) {
        return err::range;
    }
    auto* out = reinterpret_cast<char*>(to.data());
    for (const tmpfs_attribute& one : _attributes) {
        out = to.empty() ? out : std::copy_n(one.name.c_str(), one.name.size() + 1, out);
    }
    return length;
}

result<void> tmpfs_inode::set_xattr(std::string_view name, std::span<const std::byte> value,
                                    int flags) {
    if (!stored(name)) {
        return err::opnotsupp;
    }
    // Only files and directories carry attributes of the program's own.
    if (name.starts_with("user.") && !is_regular() && !is_directory()) {
        return err::perm;
    }
    lock_guard guard(lock);
    const usize at = find_attribute(name);
    const bool known = at != _attributes.size();
    if (known && (flags & create_only) != 0) {
        return err::exist;
    }
    if (!known && (flags & replace_only) != 0) {
        return err::nodata;
    }
    usize total = name.size() + value.size();
    for (const tmpfs_attribute& one : _attributes) {
        total += one.name.size() + one.value.size();
    }
    if (total > largest_total) {
        return err::nospc;
    }
    tmpfs_attribute made;
    made.name = TRY(string::copy(name));
    TRY(made.value.append(value));
    changed = timestamp_now();
    if (!known) {
        return _attributes.push_back(std::move(made));
    }
    _attributes[at] = std::move(made);
    return {};
}

result<void> tmpfs_inode::remove_xattr(std::string_view name) {
    if (!stored(name)) {
        return err::opnotsupp;
    }
    lock_guard guard(lock);
    const usize at = find_attribute(name);
    if (at == _attributes.size()) {
        return err::nodata;
    }
    _attributes.erase(at);
    changed = timestamp_now();
    return {};
}

}  // namespace kiln
