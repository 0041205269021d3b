// From a path to a dentry. Iterative: a symbolic link's text replaces the name in what is left to
// walk.
#include "core/user.hh"
#include "fs/vfs.hh"

namespace kiln {
namespace {

class walker {
public:
    walker(dentry& start, const walk_options& options)
        : _options(options), _start(&start), _root(options.in_root ? _start : root_directory()) {}

    result<walk_result> run(std::string_view path);

private:
    // The next name, taken off `_rest`; says whether it is the last one.
    std::string_view take_name();
    result<void> go_up();
    result<void> go_into(std::string_view name);
    result<void> follow(inode& link);
    result<void> begin(std::string_view path);
    bool at_special(std::string_view name) const { return name == "." || name == ".."; }

    const walk_options& _options;
    ref<dentry> _start;
    ref<dentry> _root;
    ref<dentry> _at;
    ref<file> _open;
    std::string_view _rest;
    string _text;  // owns _rest once a link was followed
    bool _last = false;
    bool _trailing = false;
    u32 _links = 0;
};

std::string_view walker::take_name() {
    const usize end = std::min(_rest.find('/'), _rest.size());
    const std::string_view name = _rest.substr(0, end);
    const usize next = std::min(_rest.find_first_not_of('/', end), _rest.size());
    _rest.remove_prefix(next);
    _last = _rest.empty();
    _trailing = _last && next != end;
    return name;
}

// Puts the walk at the start of a path or of a link's text.
result<void> walker::begin(std::string_view path) {
    if (path.front() == '/') {
        if (_options.beneath) {
            return err::xdev;
        }
        _at = dcache::top_of(_root);
    }
    _rest = path.substr(std::min(path.find_first_not_of('/'), path.size()));
    return {};
}

result<void> walker::go_up() {
    if (_options.beneath && _at == _start) {
        return err::xdev;
    }
    if (_at == _root || _at == dcache::top_of(_root)) {
        return {};
    }
    ref<dentry> above = dcache::up(*_at);
    if (_options.no_mount_crossing && &above->target()->filesystem != &_at->target()->filesystem) {
        return err::xdev;
    }
    _at = dcache::top_of(std::move(above));
    return {};
}

result<void> walker::follow(inode& link) {
    if (_options.no_symlinks || ++_links > max_symlinks) {
        return err::loop;
    }
    if (link.is_magic_link()) {
        if (_options.no_magic_links) {
            return err::loop;
        }
        link_target target = TRY(link.follow_magic());
        _at = std::move(target.entry);
        _open = std::move(target.open);
        return {};
    }
    string text = TRY(link.read_link());
    if (text.empty()) {
        return err::noent;
    }
    if (!_rest.empty() || _trailing) {
        TRY(text.append('/'));
        TRY(text.append(_rest));
    }
    _text = std::move(text);
    _last = false;
    return begin(_text);
}

result<void> walker::go_into(std::string_view name) {
    ref<dentry> child = TRY(lookup_child(*_at, name));
    if (child->negative()) {
        return err::noent;
    }
    ref<dentry> top = dcache::top_of(child);
    if (_options.no_mount_crossing && top != child) {
        return err::xdev;
    }
    inode& target = *top->target();
    if (target.is_symlink() && (!_last || _options.follow_last || _trailing)) {
        return follow(target);
    }
    _at = std::move(top);
    return {};
}

result<walk_result> walker::run(std::string_view path) {
    if (path.size() >= path_max) {
        return err::nametoolong;
    }
    walk_result found;
    _at = _start;
    if (path.empty()) {
        if (!_options.allow_empty) {
            return err::noent;
        }
        found.entry = std::move(_at);
        return found;
    }
    TRY(begin(path));
    bool special = true;
    while (!_rest.empty()) {
        if (_open) {
            return err::notdir;
        }
        if (!_at->target()->is_directory()) {
            return err::notdir;
        }
        const std::string_view name = take_name();
        if (name.size() > name_max) {
            return err::nametoolong;
        }
        special = at_special(name);
        if (_options.want_parent && _last) {
            found.last = TRY(string::copy(name));
            break;
        }
        if (name == "..") {
            TRY(go_up());
        } else if (name != ".") {
            TRY(go_into(name));
        }
    }
    if (!_options.want_parent && (_trailing || _options.must_be_directory) &&
        (_open || !_at->target()->is_directory())) {
        return err::notdir;
    }
    found.last_is_special = special;
    found.trailing_slash = _trailing;
    found.entry = std::move(_at);
    found.open = std::move(_open);
    return found;
}

}  // namespace

result<ref<dentry>> lookup_child(dentry& directory, std::string_view name) {
    inode& in = *directory.target();
    if (!in.is_directory()) {
        return err::notdir;
    }
    if (name.size() > name_max) {
        return err::nametoolong;
    }
    if (ref<dentry> known = dcache::find(directory, name)) {
        return known;
    }
    lock_guard guard(in.lock);
    return lookup_child_locked(directory, name);
}

result<ref<dentry>> lookup_child_locked(dentry& directory, std::string_view name) {
    inode& in = *directory.target();
    if (ref<dentry> known = dcache::find(directory, name)) {
        return known;
    }
    if (directory.removed()) {
        return err::noent;
    }
    result<ref<inode>> found = in.lookup(name);
    if (!found.ok() && found.error() != err::noent) {
        return found.error();
    }
    ref<inode> target = found.ok() ? found.take() : ref<inode>();
    return dcache::enter(directory, name, std::move(target), in.caches_lookups());
}

result<walk_result> walk(dentry& start, std::string_view path, const walk_options& options) {
    return walker(start, options).run(path);
}

result<ref<dentry>> resolve(dentry& start, std::string_view path, bool follow) {
    walk_result found = TRY(walk(start, path, {.follow_last = follow}));
    if (!found.entry) {
        return err::noent;
    }
    return std::move(found.entry);
}

}  // namespace kiln
