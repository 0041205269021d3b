// Copies the tree of one directory into another, for tmpfs mounts that start with what was there.
#include "fs/copy_tree.hh"

#include "fs/dentry.hh"
#include "lib/vector.hh"
#include "mm/page_cache.hh"

namespace kiln {
namespace {

struct named_entry {
    string name;
    u64 cookie = 0;
};

class name_collector final : public directory_sink {
public:
    bool add(const directory_entry& entry) override {
        result<string> name = string::copy(entry.name);
        outcome =
            name.ok() ? names.push_back({name.take(), entry.cookie}) : result<void>(name.error());
        return outcome.ok();
    }
    vector<named_entry> names;
    result<void> outcome;
};

// Directories that are still to be copied: an explicit stack, as trees may be deep.
struct pending_copy {
    ref<inode> from;
    ref<inode> to;
};

void copy_attributes(const inode& from, inode& to) {
    to.mode = from.mode;
    to.uid = from.uid;
    to.gid = from.gid;
    to.accessed = from.accessed;
    to.modified = from.modified;
}

result<void> copy_contents(inode& from, inode& to) {
    page_cache& source = *from.pages();
    for (u64 index = 0; index << page_shift < source.size(); ++index) {
        page* const held = TRY(source.get_page(index, false));
        const usize length = std::min<u64>(page_size, source.size() - (index << page_shift));
        io_vector bytes = io_vector::kernel(page_data(*held), length);
        const result<usize> written = to.pages()->write(bytes, index << page_shift);
        drop_page_reference(*held);
        if (!written.ok()) {
            return written.error();
        }
        yield();
    }
    return {};
}

result<void> copy_entry(inode& from, std::string_view name, inode& to_directory,
                        vector<pending_copy>& pending) {
    if (from.is_symlink()) {
        string text = TRY(from.read_link());
        ref<inode> made = TRY(to_directory.create_symlink(name, text));
        copy_attributes(from, *made);
        return {};
    }
    ref<inode> made = TRY(to_directory.create(name, from.mode, from.special_device));
    copy_attributes(from, *made);
    if (from.is_regular()) {
        return copy_contents(from, *made);
    }
    if (from.is_directory()) {
        return pending.push_back({ref<inode>(&from), std::move(made)});
    }
    return {};
}

result<void> copy_directory(inode& from, inode& to, vector<pending_copy>& pending) {
    name_collector found;
    {
        lock_guard guard(from.lock);
        TRY(from.read_directory(0, found));
    }
    TRY(std::move(found.outcome));
    for (const named_entry& entry : found.names) {
        ref<inode> child;
        {
            lock_guard guard(from.lock);
            child = TRY(from.lookup(entry.name));
        }
        TRY(copy_entry(*child, entry.name, to, pending));
    }
    return {};
}

}  // namespace

result<void> copy_tree(inode& from, inode& to) {
    vector<pending_copy> pending;
    copy_attributes(from, to);
    TRY(pending.push_back({ref<inode>(&from), ref<inode>(&to)}));
    while (!pending.empty()) {
        pending_copy next = std::move(pending.back());
        pending.pop_back();
        TRY(copy_directory(*next.from, *next.to, pending));
    }
    return {};
}

}  // namespace kiln
