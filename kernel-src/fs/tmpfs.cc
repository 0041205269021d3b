#include "fs/tmpfs.hh"

#include <algorithm>

#include "fs/dentry.hh"
#include "fs/inode_file.hh"
#include "fs/pipe.hh"
#include "fs/special_files.hh"
#include "fs/tmpfs_nodes.hh"
#include "lib/format.hh"

namespace kiln {
namespace {

constexpr u64 tmpfs_magic = 0x01021994;
constexpr u64 unlimited_pages = ~u64{0} >> 1;
constinit std::atomic<u64> pages_in_all{0};
// For what has no name; made at the first use.
constinit std::atomic<tmpfs*> unnamed_files{nullptr};

// Adds unless the sum passes the limit.
bool add_within(std::atomic<u64>& counter, u64 count, u64 limit) {
    u64 before = counter.load(std::memory_order_relaxed);
    do {
        if (count > limit || before > limit - count) {
            return false;
        }
    } while (!counter.compare_exchange_weak(before, before + count, std::memory_order_relaxed));
    return true;
}

}  // namespace

result<tmpfs*> tmpfs::make(u64 byte_limit, u64 inode_limit, u32 root_mode,
                           std::string_view type_name) {
    const u64 half = std::max<u64>(memory_now().total_pages / 2, 1);
    const u64 pages = byte_limit == 0 ? half : (byte_limit + page_size - 1) / page_size;
    auto* made = new (std::nothrow) tmpfs(type_name, pages, inode_limit == 0 ? half : inode_limit);
    if (made == nullptr) {
        return err::nomem;
    }
    made->_root_mode = root_mode;
    TRY(made->source.append(type_name));
    made->_root = TRY(make_tmpfs_inode(*made, mode_bit::directory | root_mode, 0));
    return made;
}

result<ref<inode>> tmpfs::root() {
    return _root;
}

void tmpfs::status(filesystem_status& to) {
    const bool limited = _page_limit < unlimited_pages;
    to.magic = tmpfs_magic;
    to.blocks = limited ? _page_limit : 0;
    to.free_blocks = limited ? _page_limit - std::min(_page_limit, pages_used()) : 0;
    to.files = limited ? _inode_limit : 0;
    to.free_files = limited ? _inode_limit - std::min(_inode_limit, _inodes_used.load()) : 0;
}

void tmpfs::describe_options(text_sink& sink) {
    format(sink, ",size={}k", _page_limit * (page_size / KiB));
    if (_root_mode != 01777) {
        format(sink, ",mode={:o}", _root_mode);
    }
}

result<void> tmpfs::charge_pages(u64 count) {
    return add_within(_pages_used, count, _page_limit) ? result<void>() : err::nospc;
}

result<void> tmpfs::charge_inode() {
    return add_within(_inodes_used, 1, _inode_limit) ? result<void>() : err::nospc;
}

// --- contents ---

result<page*> tmpfs_pages::new_page() {
    TRY(_owner.charge_pages(1));
    result<page*> made = alloc_page();
    if (!made.ok()) {
        _owner.discharge_pages(1);
        return made;
    }
    pages_in_all.fetch_add(1, std::memory_order_relaxed);
    return made;
}

result<void> tmpfs_pages::fill(u64, std::span<page* const> pages) {
    for (page* fresh : pages) {
        __builtin_memset(page_data(*fresh), 0, page_size);
    }
    return {};
}

void tmpfs_pages::pages_freed(u64 count) {
    _owner.discharge_pages(count);
    pages_in_all.fetch_sub(count, std::memory_order_relaxed);
}

// --- inodes ---

tmpfs_inode::tmpfs_inode(tmpfs& owner, u32 initial_mode, u64 device)
    : inode(owner, owner.next_number(), initial_mode) {
    special_device = device;
    accessed = modified = changed = created = timestamp_now();
    links = is_directory() ? 2 : 1;
}

tmpfs_inode::~tmpfs_inode() {
    while (tmpfs_entry* entry = _by_number.first()) {
        drop_entry(*entry);
    }
    owner().discharge_inode();
}

result<ref<inode>> make_tmpfs_inode(tmpfs& owner, u32 mode, u64 special_device) {
    TRY(owner.charge_inode());
    auto* made = new (std::nothrow) tmpfs_inode(owner, mode, special_device);
    if (made == nullptr) {
        owner.discharge_inode();
        return err::nomem;
    }
    ref<inode> held = ref<inode>::adopt(made);
    if (is_regular(mode)) {
        made->_pages = TRY(make_ref<tmpfs_pages>(owner));
    }
    return held;
}

tmpfs_entry* tmpfs_inode::find(std::string_view name) const {
    tmpfs_entry* found =
        _by_name.lower_bound([&](const tmpfs_entry& entry) { return entry.name.view() >= name; });
    return found != nullptr && found->name.view() == name ? found : nullptr;
}

result<tmpfs_entry*> tmpfs_inode::make_entry(std::string_view name, ref<inode> target) {
    string copy = TRY(string::copy(name));
    auto* entry = new (std::nothrow) tmpfs_entry;
    if (entry == nullptr) {
        return err::nomem;
    }
    entry->name = std::move(copy);
    entry->target = std::move(target);
    entry->number = _next_entry++;
    _by_name.insert(*entry);
    _by_number.insert(*entry);
    ++_entry_count;
    return entry;
}

void tmpfs_inode::drop_entry(tmpfs_entry& entry) {
    _by_name.remove(entry);
    _by_number.remove(entry);
    --_entry_count;
    delete &entry;
}

result<ref<inode>> tmpfs_inode::lookup(std::string_view name) {
    if (!is_directory()) {
        return err::notdir;
    }
    tmpfs_entry* const found = find(name);
    if (found == nullptr) {
        return err::noent;
    }
    return found->target;
}

result<void> tmpfs_inode::read_directory(u64 cookie, directory_sink& sink) {
    for (tmpfs_entry* at = _by_number.lower_bound(
             [&](const tmpfs_entry& entry) { return entry.number > cookie; });
         at != nullptr; at = _by_number.next(*at)) {
        if (!sink.add({at->name.view(), at->target->number, directory_entry_type(at->target->mode),
                       at->number})) {
            break;
        }
    }
    return {};
}

result<ref<inode>> tmpfs_inode::create(std::string_view name, u32 new_mode, u64 device) {
    if (links == 0) {
        return err::noent;
    }
    ref<inode> made = TRY(make_tmpfs_inode(owner(), new_mode, device));
    if ((mode & mode_bit::set_gid) != 0) {
        made->gid = gid;
        made->mode |= kiln::is_directory(new_mode) ? mode_bit::set_gid : 0;
    }
    TRY(make_entry(name, made));
    links += kiln::is_directory(new_mode) ? 1 : 0;
    return made;
}

result<ref<inode>> tmpfs_inode::create_symlink(std::string_view name, std::string_view target) {
    string text = TRY(string::copy(target));
    ref<inode> made = TRY(create(name, mode_bit::symlink | 0777, 0));
    static_cast<tmpfs_inode&>(*made)._link = std::move(text);
    return made;
}

result<ref<inode>> tmpfs_inode::create_unnamed(u32 new_mode) {
    ref<inode> made = TRY(make_tmpfs_inode(owner(), new_mode, 0));
    made->links = 0;
    return made;
}

result<void> tmpfs_inode::link(std::string_view name, inode& target) {
    if (links == 0) {
        return err::noent;
    }
    TRY(make_entry(name, ref<inode>(&target)));
    ++target.links;
    return {};
}

result<void> tmpfs_inode::unlink(std::string_view name, inode& target) {
    tmpfs_entry* const entry = find(name);
    if (entry == nullptr) {
        return err::noent;
    }
    --target.links;
    drop_entry(*entry);
    return {};
}

result<void> tmpfs_inode::remove_directory(std::string_view name, inode& target) {
    tmpfs_entry* const entry = find(name);
    if (entry == nullptr) {
        return err::noent;
    }
    if (!static_cast<tmpfs_inode&>(target)._by_number.empty()) {
        return err::notempty;
    }
    target.links = 0;
    --links;
    drop_entry(*entry);
    return {};
}

result<void> tmpfs_inode::exchange_entries(tmpfs_entry& mine, tmpfs_inode& other,
                                           tmpfs_entry& theirs) {
    const bool my_directory = mine.target->is_directory();
    const bool their_directory = theirs.target->is_directory();
    std::swap(mine.target, theirs.target);
    links += (their_directory ? 1u : 0u) - (my_directory ? 1u : 0u);
    other.links += (my_directory ? 1u : 0u) - (their_directory ? 1u : 0u);
    return {};
}

result<void> tmpfs_inode::rename(std::string_view name, inode& moved, inode& to_directory,
                                 std::string_view to_name, inode* replaced, bool exchange) {
    auto& to = static_cast<tmpfs_inode&>(to_directory);
    tmpfs_entry* const from_entry = find(name);
    tmpfs_entry* const to_entry = to.find(to_name);
    if (from_entry == nullptr || (replaced != nullptr && to_entry == nullptr)) {
        return err::noent;
    }
    if (exchange) {
        return exchange_entries(*from_entry, to, *to_entry);
    }
    if (replaced != nullptr && replaced->is_directory()) {
        TRY(to.remove_directory(to_name, *replaced));
    } else if (replaced != nullptr) {
        TRY(to.unlink(to_name, *replaced));
    }
    TRY(to.make_entry(to_name, ref<inode>(&moved)));
    drop_entry(*from_entry);
    if (moved.is_directory()) {
        --links;
        ++to.links;
    }
    return {};
}

result<string> tmpfs_inode::read_link() {
    if (!is_symlink()) {
        return err::inval;
    }
    return string::copy(_link);
}

result<void> tmpfs_inode::status(file_status& to) {
    TRY(inode::status(to));
    to.size = is_symlink() ? _link.size() : size();
    to.blocks = _pages ? _pages->page_count() * (page_size / 512) : 0;
    return {};
}

u64 tmpfs_inode::size() {
    return _pages           ? _pages->size()
           : is_symlink()   ? _link.size()
           : is_directory() ? 20 * (2 + _entry_count)
                            : 0;
}

page_cache* tmpfs_inode::pages() {
    return _pages.get();
}

result<ref<file>> tmpfs_inode::open(dentry& entry, u32 flags) {
    switch (mode & mode_bit::type_mask) {
        case mode_bit::regular: return TRY(make_ref<regular_file>(entry, flags));
        case mode_bit::directory: return TRY(make_ref<directory_file>(entry, flags));
        case mode_bit::character: return open_character_device(entry, flags);
        case mode_bit::block: return open_block_device(entry, flags);
        case mode_bit::fifo: return open_fifo(_fifo, entry, flags);
        default: return err::nxio;
    }
}

result<void> tmpfs_inode::resize(u64 new_size) {
    if (!_pages) {
        return err::inval;
    }
    const u64 old_size = _pages->size();
    if ((new_size < old_size && sealed(seal_bit::shrink)) ||
        (new_size > old_size && sealed(seal_bit::grow))) {
        return err::perm;
    }
    if (new_size < old_size) {
        _pages->set_size(new_size);
        _pages->drop_pages((new_size + page_size - 1) >> page_shift, ~u64{0});
        const u64 tail = align_up(new_size, page_size) - new_size;
        TRY(_pages->zero(new_size, tail));
    } else {
        _pages->set_size(new_size);
    }
    return {};
}

result<void> tmpfs_inode::punch(u64 offset, u64 length) {
    const u64 end = offset + length;
    const u64 first_page = (offset + page_size - 1) >> page_shift;
    const u64 end_page = end >> page_shift;
    if (first_page > end_page) {  // inside one page
        return _pages->zero(offset, length);
    }
    TRY(_pages->zero(offset, (first_page << page_shift) - offset));
    TRY(_pages->zero(end_page << page_shift, end - (end_page << page_shift)));
    _pages->drop_pages(first_page, end_page);
    return {};
}

result<void> tmpfs_inode::allocate(int how, u64 offset, u64 length) {
    constexpr int keep_size = 1, punch_hole = 2;
    if (!_pages || (how & ~(keep_size | punch_hole)) != 0 || how == punch_hole) {
        return err::opnotsupp;
    }
    if ((how & punch_hole) != 0) {
        return sealed(seal_bit::write | seal_bit::future_write) ? err::perm : punch(offset, length);
    }
    if (sealed(seal_bit::grow) && (how & keep_size) == 0 && offset + length > _pages->size()) {
        return err::perm;
    }
    const u64 end_page = (offset + length + page_size - 1) >> page_shift;
    const u64 first_page = offset >> page_shift;
    if (end_page - first_page > owner().page_limit()) {
        return err::nospc;
    }
    for (u64 index = first_page; index < end_page; ++index) {
        TRY(_pages->make_page(index));
        yield();
    }
    if ((how & keep_size) == 0 && offset + length > _pages->size()) {
        _pages->set_size(offset + length);
    }
    return {};
}

result<void> tmpfs_inode::prepare_write(u64 offset, u64 length) {
    const bool grows = offset + length > _pages->size();
    if (sealed(seal_bit::write | seal_bit::future_write) || (grows && sealed(seal_bit::grow))) {
        return err::perm;
    }
    return {};
}

// --- files without names ---

namespace {

result<tmpfs*> unnamed() {
    if (tmpfs* known = unnamed_files.load(std::memory_order_acquire)) {
        return known;
    }
    tmpfs* made = TRY(tmpfs::make(unlimited_pages * page_size, unlimited_pages, 01777));
    tmpfs* before = nullptr;
    // The loser of a race is kept for good; it holds one inode.
    return unnamed_files.compare_exchange_strong(before, made) ? made : before;
}

}  // namespace

result<ref<file>> make_memory_file(std::string_view name, u32 flags, bool sealable) {
    tmpfs* const owner = TRY(unnamed());
    ref<inode> made = TRY(make_tmpfs_inode(*owner, mode_bit::regular | 0777, 0));
    made->links = 0;
    made->seals()->store(sealable ? 0 : seal_bit::seal);
    ref<inode> top = TRY(owner->root());
    ref<dentry> root = TRY(dcache::make_root(std::move(top)));
    ref<dentry> entry = TRY(dcache::enter(*root, name, made, false));
    dcache::remove(*entry);
    return TRY(make_ref<regular_file>(*entry, flags));
}

u64 shared_memory_pages() {
    return pages_in_all.load(std::memory_order_relaxed);
}

}  // namespace kiln
