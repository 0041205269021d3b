// Opening by name.
#include "fs/inode_file.hh"
#include "fs/inotify.hh"
#include "fs/vfs.hh"
#include "lib/format.hh"

namespace kiln {
namespace {

constexpr u32 creation_flags =
    open_flag::creat | open_flag::excl | open_flag::noctty | open_flag::trunc | open_flag::cloexec;
constexpr u32 path_flags =
    open_flag::path | open_flag::directory | open_flag::nofollow | open_flag::cloexec;

bool has(u32 flags, u32 all_of) {
    return (flags & all_of) == all_of;
}

bool wants_write(u32 flags) {
    return (flags & open_flag::access_mode) != open_flag::rdonly;
}

// What open(2) refuses before it looks at any name.
result<void> check_flags(u32 flags) {
    if ((flags & open_flag::access_mode) == open_flag::access_mode) {
        return {};
    }
    if (has(flags, open_flag::tmpfile) && !wants_write(flags)) {
        return err::inval;
    }
    if (has(flags, open_flag::creat | open_flag::directory)) {
        return err::inval;
    }
    return {};
}

// Whether an existing file may be opened like this.
result<void> check_target(inode& target, u32 flags) {
    if (target.is_symlink()) {
        return err::loop;
    }
    const bool changes = wants_write(flags) || (flags & open_flag::trunc) != 0;
    if (target.is_directory()) {
        return changes || (flags & open_flag::creat) != 0 ? result<void>(err::isdir)
                                                          : result<void>();
    }
    if ((flags & open_flag::directory) != 0) {
        return err::notdir;
    }
    if (target.is_regular() && changes && target.filesystem.read_only()) {
        return err::rofs;
    }
    return {};
}

result<ref<file>> open_unnamed(dentry& start, std::string_view path, u32 flags, u32 mode,
                               const walk_options& options) {
    walk_options walking = options;
    walking.must_be_directory = true;
    walk_result at = TRY(walk(start, path, walking));
    inode& directory = *at.entry->target();
    ref<inode> made;
    {
        lock_guard guard(directory.lock);
        made =
            TRY(directory.create_unnamed(mode_bit::regular | (mode & 07777 & ~file_mode_mask())));
    }
    made->linkable = (flags & open_flag::excl) == 0;
    char name[32];
    const usize length = format_to(name, "#{}", made->number);
    ref<dentry> entry = TRY(dcache::enter(*at.entry, {name, length}, made, false));
    dcache::remove(*entry);
    return made->open(*entry, flags & ~(creation_flags | open_flag::tmpfile));
}

// The entry to open, made if it is not there; null when a symbolic link is in the way, whose target
// then is `path`, to be looked up from `start`.
struct creation {
    ref<dentry> entry;
    ref<file> open;
    ref<dentry> start;
    string path;
    bool made = false;
};

result<ref<dentry>> create_in(dentry& directory, std::string_view name, ref<dentry> negative,
                              u32 mode) {
    inode& in = *directory.target();
    ref<inode> made =
        TRY(in.create(name, mode_bit::regular | (mode & 07777 & ~file_mode_mask()), 0));
    touch_modified(in);
    if (in.caches_lookups()) {
        dcache::make_positive(*negative, std::move(made));
        return negative;
    }
    return dcache::enter(directory, name, std::move(made), false);
}

result<void> step_over_link(creation& state, ref<dentry> directory, inode& link) {
    if (link.is_magic_link()) {
        link_target target = TRY(link.follow_magic());
        state.entry = std::move(target.entry);
        state.open = std::move(target.open);
        return {};
    }
    state.path = TRY(link.read_link());
    state.start = std::move(directory);
    return {};
}

result<creation> find_or_create(dentry& start, std::string_view path, u32 flags, u32 mode,
                                const walk_options& options) {
    walk_options walking = options;
    walking.want_parent = true;
    walk_result at = TRY(walk(start, path, walking));
    if (at.last_is_special || at.trailing_slash) {
        return err::isdir;
    }
    creation state;
    dentry& directory = *at.entry;
    inode& in = *directory.target();
    ref<dentry> child = TRY(lookup_child(directory, at.last));
    if (child->negative()) {
        lock_guard guard(in.lock);
        child = TRY(lookup_child_locked(directory, at.last));
        if (child->negative()) {
            state.entry = TRY(create_in(directory, at.last, child, mode));
            state.made = true;
            return state;
        }
    }
    if ((flags & open_flag::excl) != 0) {
        return err::exist;
    }
    ref<dentry> top = dcache::top_of(std::move(child));
    const bool follow = (flags & open_flag::nofollow) == 0;
    if (top->target()->is_symlink() && follow) {
        if (options.no_symlinks) {
            return err::loop;
        }
        TRY(step_over_link(state, at.entry, *top->target()));
        return state;
    }
    state.entry = std::move(top);
    return state;
}

result<ref<file>> open_creating(dentry& start, std::string_view path, u32 flags, u32 mode,
                                const walk_options& options) {
    creation state = TRY(find_or_create(start, path, flags, mode, options));
    for (u32 links = 0; !state.entry && !state.open; ++links) {
        if (links == max_symlinks) {
            return err::loop;
        }
        state = TRY(find_or_create(*state.start, state.path, flags, mode, options));
    }
    if (state.open) {
        return std::move(state.open);
    }
    if (state.made) {
        ref<file> opened = TRY(state.entry->target()->open(*state.entry, flags & ~creation_flags));
        ref<dentry> parent = state.entry->parent();
        notify_inode(*parent->target(), inotify_event_bit::create, TRY(state.entry->name()));
        notify_entry(*state.entry, inotify_event_bit::open);
        return opened;
    }
    return open_dentry(*state.entry, flags);
}

}  // namespace

result<ref<file>> open_dentry(dentry& entry, u32 flags) {
    inode& target = *entry.target();
    if ((flags & open_flag::path) != 0) {
        if ((flags & open_flag::directory) != 0 && !target.is_directory()) {
            return err::notdir;
        }
        return TRY(make_ref<path_file>(entry, flags & path_flags & ~open_flag::cloexec));
    }
    TRY(check_target(target, flags));
    ref<file> opened = TRY(target.open(entry, flags & ~creation_flags));
    if ((flags & open_flag::trunc) != 0 && target.is_regular()) {
        TRY(truncate_inode(target, 0));
        notify_entry(entry, inotify_event_bit::modify);
    }
    notify_entry(entry, inotify_event_bit::open);
    return opened;
}

result<ref<file>> open_at(dentry& start, std::string_view path, u32 flags, u32 mode,
                          const walk_options& options) {
    if ((flags & open_flag::path) != 0) {
        flags &= path_flags;
    }
    TRY(check_flags(flags));
    if (has(flags, open_flag::tmpfile)) {
        return open_unnamed(start, path, flags, mode, options);
    }
    if ((flags & open_flag::creat) != 0) {
        return open_creating(start, path, flags, mode, options);
    }
    walk_options walking = options;
    walking.follow_last = (flags & open_flag::nofollow) == 0;
    walk_result found = TRY(walk(start, path, walking));
    if (found.open) {
        return std::move(found.open);
    }
    return open_dentry(*found.entry, flags);
}

result<ref<file>> open_path(std::string_view path, u32 flags, u32 mode) {
    ref<dentry> start = working_directory();
    return open_at(*start, path, flags, mode);
}

result<vector<char>> read_whole_file(std::string_view path, usize limit) {
    ref<file> opened = TRY(open_path(path, open_flag::rdonly));
    vector<char> text;
    u64 position = 0;
    while (true) {
        constexpr usize step = 4096;
        const usize before = text.size();
        if (before > limit) {
            return err::fbig;
        }
        TRY(text.resize(before + step));
        io_vector rest = io_vector::kernel(text.data() + before, step);
        const usize count = TRY(opened->read(rest, position));
        text.truncate(before + count);
        if (count == 0) {
            return text;
        }
    }
}

}  // namespace kiln
