#include "fs/pseudo_fs.hh"

#include <algorithm>

#include "fs/fs_context.hh"
#include "fs/inode_file.hh"

namespace kiln {

struct pseudo_fs::entry {
    std::string_view name;
    const pseudo_node* node = nullptr;  // null: a directory on the way
    entry* numbered = nullptr;          // what stands for each numbered child
    vector<entry*> children;
    u64 number = 0;

    entry* find(std::string_view wanted) const {
        for (entry* child : children) {
            if (child->name == wanted) {
                return child;
            }
        }
        return nullptr;
    }
    bool is_directory() const {
        return node == nullptr || node->children != nullptr ||
               (node->read == nullptr && node->write == nullptr && !is_link());
    }
    bool is_link() const {
        return node != nullptr && (node->follow != nullptr || node->link != nullptr);
    }
    u32 mode() const;
    u32 mode_of(u64 key) const;
};

u32 pseudo_fs::entry::mode() const {
    const u32 given = node != nullptr ? node->mode : 0;
    if (is_directory()) {
        return mode_bit::directory | (given != 0 ? given : 0555);
    }
    if (is_link()) {
        return mode_bit::symlink | (given != 0 ? given : 0777);
    }
    return mode_bit::regular | (given != 0               ? given
                                : node->write == nullptr ? 0444
                                : node->read == nullptr  ? 0200
                                                         : 0644);
}

u32 pseudo_fs::entry::mode_of(u64 key) const {
    const bool asks = node != nullptr && node->link_mode != nullptr;
    return asks ? mode_bit::symlink | node->link_mode(key) : mode();
}

namespace {

using pseudo_entry = pseudo_fs::entry;

// Cookies of numbered children follow those of the fixed ones.
constexpr u64 first_cookie = 3;
constexpr u64 numbered_cookie = u64{1} << 32;
// What Linux says of the length of the links in /proc/PID/fd, whatever they lead to.
constexpr u64 descriptor_link_size = 64;

class pseudo_inode final : public inode {
public:
    pseudo_inode(pseudo_fs& owner, const pseudo_entry& entry, u64 key)
        : inode(owner, entry.number + key * 1024, entry.mode_of(key)), _entry(entry), _key(key) {
        accessed = modified = changed = timestamp_now();
        links = is_directory() ? 2 : 1;
    }

    result<ref<inode>> lookup(std::string_view name) override;
    result<void> read_directory(u64 cookie, directory_sink& sink) override;
    bool caches_lookups() const override { return _key == 0 && _entry.numbered == nullptr; }
    result<string> read_link() override;
    bool is_magic_link() const override {
        return _entry.node != nullptr && _entry.node->follow != nullptr;
    }
    result<link_target> follow_magic() override { return _entry.node->follow(_key); }
    u64 size() override { return is_descriptor_link() ? descriptor_link_size : 0; }
    result<ref<file>> open(dentry& entry, u32 flags) override;
    result<void> resize(u64) override { return {}; }  // O_TRUNC does nothing
    result<void> change(const attribute_change&) override { return err::perm; }

    const pseudo_node& node() const { return *_entry.node; }
    u64 key() const { return _key; }

private:
    result<ref<inode>> make(const pseudo_entry& entry, u64 key) {
        return TRY(make_ref<pseudo_inode>(static_cast<pseudo_fs&>(filesystem), entry, key));
    }

    bool is_descriptor_link() const {
        return _entry.node != nullptr && _entry.node->link_mode != nullptr;
    }

    const pseudo_entry& _entry;
    const u64 _key;
};

// Decimal without leading zeros; -1 when it is something else.
i64 parse_number(std::string_view text) {
    if (text.empty() || text.size() > 9 || (text.front() == '0' && text.size() > 1)) {
        return -1;
    }
    i64 number = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9') {
            return -1;
        }
        number = number * 10 + (digit - '0');
    }
    return number;
}

result<ref<inode>> pseudo_inode::lookup(std::string_view name) {
    if (!is_directory()) {
        return err::notdir;
    }
    if (const pseudo_entry* child = _entry.find(name)) {
        return make(*child, _key);
    }
    const i64 wanted = parse_number(name);
    if (_entry.numbered == nullptr || wanted < 0 ||
        _entry.node->children->next(wanted, _key) != wanted) {
        return err::noent;
    }
    return make(*_entry.numbered, (_key << 32) | static_cast<u64>(wanted));
}

result<void> pseudo_inode::read_directory(u64 cookie, directory_sink& sink) {
    for (usize i = cookie < first_cookie ? 0 : cookie - first_cookie + 1;
         cookie < numbered_cookie && i < _entry.children.size(); ++i) {
        const pseudo_entry& child = *_entry.children[i];
        if (!sink.add(
                {child.name, child.number, directory_entry_type(child.mode()), first_cookie + i})) {
            return {};
        }
    }
    if (_entry.numbered == nullptr) {
        return {};
    }
    const numbered_children& list = *_entry.node->children;
    const u8 type = directory_entry_type(_entry.numbered->mode());
    i64 at = cookie < numbered_cookie ? 0 : static_cast<i64>(cookie - numbered_cookie + 1);
    for (at = list.next(at, _key); at >= 0; at = list.next(at + 1, _key)) {
        char name[24];
        const usize length = format_to(name, "{}", at);
        if (!sink.add({{name, length},
                       _entry.numbered->number + static_cast<u64>(at) * 1024,
                       type,
                       numbered_cookie + static_cast<u64>(at)})) {
            break;
        }
    }
    return {};
}

// A magic link's text is that of where it leads.
result<string> pseudo_inode::read_link() {
    if (!_entry.is_link()) {
        return err::inval;
    }
    if (_entry.node->link != nullptr) {
        return _entry.node->link(_key);
    }
    link_target target = TRY(_entry.node->follow(_key));
    vector<char> text;
    TRY(text.resize(4096));
    if (target.open) {
        const usize length = TRY(target.open->describe(text));
        return string::copy({text.data(), length});
    }
    ref<dentry> root = root_directory();
    const std::string_view path = TRY(dcache::path_of(*target.entry, root.get(), text));
    string made = TRY(string::copy(path));
    if (target.entry->removed()) {
        TRY(made.append(" (deleted)"));
    }
    return made;
}

// The text is made when reading starts (or starts anew), so that one pass sees one state.
class pseudo_file final : public inode_file {
public:
    using inode_file::inode_file;

    result<usize> read(io_vector& to, u64& at) override;
    result<usize> write(io_vector& from, u64& at) override;
    bool seekable() const override { return true; }
    bool is_splice_source() const override { return true; }
    bool is_splice_target() const override { return true; }
    result<u64> seek(i64 offset, int whence) override;
    result<void> truncate(u64) override { return {}; }

private:
    pseudo_inode& pseudo() const { return static_cast<pseudo_inode&>(node()); }

    mutex _lock;
    string _text;
};

result<usize> pseudo_file::read(io_vector& to, u64& at) {
    if (pseudo().node().read == nullptr) {
        return err::inval;
    }
    lock_guard guard(_lock);
    if (at == 0 || _text.empty()) {
        string_sink sink;
        TRY(pseudo().node().read(sink, pseudo().key()));
        _text = TRY(sink.take());
    }
    if (at >= _text.size()) {
        return usize{0};
    }
    const usize count =
        TRY(to.put(_text.c_str() + at, std::min(to.remaining(), _text.size() - at)));
    at += count;
    return count;
}

result<usize> pseudo_file::write(io_vector& from, u64& at) {
    if (pseudo().node().write == nullptr) {
        return err::inval;
    }
    char text[1024];
    const usize length = TRY(from.take(text, std::min(from.remaining(), sizeof(text))));
    TRY(pseudo().node().write({text, length}, pseudo().key()));
    at += length;
    return length;
}

result<u64> pseudo_file::seek(i64 offset, int whence) {
    constexpr int seek_end = 2;
    if (whence == seek_end) {
        return err::inval;
    }
    position = TRY(plain_seek(position, 0, offset, whence));
    return position;
}

result<ref<file>> pseudo_inode::open(dentry& entry, u32 flags) {
    if (is_directory()) {
        return TRY(make_ref<directory_file>(entry, flags));
    }
    const bool writes = (flags & open_flag::access_mode) != open_flag::rdonly;
    if (writes && node().write == nullptr) {
        return err::acces;
    }
    return TRY(make_ref<pseudo_file>(entry, flags));
}

pseudo_fs& made_once(std::atomic<pseudo_fs*>& place, std::string_view name, u64 magic) {
    pseudo_fs* known = place.load(std::memory_order_acquire);
    if (known == nullptr) {
        known = new (std::nothrow) pseudo_fs(name, magic);
        KILN_ASSERT(known != nullptr);
        static_cast<void>(known->source.append(name));
        place.store(known, std::memory_order_release);
    }
    return *known;
}

constinit std::atomic<pseudo_fs*> proc{nullptr};
constinit std::atomic<pseudo_fs*> sys{nullptr};

}  // namespace

result<pseudo_fs::entry*> pseudo_fs::top() {
    if (_root == nullptr) {
        auto* made = new (std::nothrow) entry;
        if (made == nullptr) {
            return err::nomem;
        }
        made->number = _next_number++;
        _root = made;
    }
    return _root;
}

result<pseudo_fs::entry*> pseudo_fs::make_entry(std::string_view path) {
    entry* at = TRY(top());
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(name.size() + 1, path.size()));
        entry* next = name == "*" ? at->numbered : at->find(name);
        if (next == nullptr) {
            next = new (std::nothrow) entry;
            if (next == nullptr) {
                return err::nomem;
            }
            next->name = name;
            next->number = _next_number++;
            if (name == "*") {
                at->numbered = next;
            } else {
                TRY(at->children.push_back(next));
            }
        }
        at = next;
    }
    return at;
}

result<void> pseudo_fs::add(std::span<const pseudo_node> nodes) {
    lock_guard guard(_lock);
    for (const pseudo_node& node : nodes) {
        entry* const made = TRY(make_entry(node.path));
        made->node = &node;
    }
    return {};
}

result<ref<inode>> pseudo_fs::root() {
    lock_guard guard(_lock);
    entry* const first = TRY(top());
    return TRY(make_ref<pseudo_inode>(*this, *first, 0));
}

void pseudo_fs::status(filesystem_status& to) {
    to.magic = _magic;
}

pseudo_fs& the_proc() {
    return made_once(proc, "proc", 0x9fa0);
}

pseudo_fs& the_sys() {
    return made_once(sys, "sysfs", 0x62656572);
}

}  // namespace kiln
