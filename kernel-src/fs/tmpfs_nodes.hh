// The inodes of tmpfs; devfs and the vfs make them too. See fs/tmpfs.hh.
#pragma once

#include "fs/tmpfs.hh"

namespace kiln {

class pipe_buffer;

class tmpfs_pages final : public page_cache {
public:
    explicit tmpfs_pages(tmpfs& owner) : _owner(owner) {}
    ~tmpfs_pages() override { drop_all(); }

protected:
    result<void> fill(u64 first, std::span<page* const> pages) override;
    result<page*> new_page() override;
    void pages_freed(u64 count) override;
    bool reclaimable() const override { return false; }
    bool holes_read_as_zeros() const override { return true; }

private:
    tmpfs& _owner;
};

struct tmpfs_entry : noncopyable {
    string name;
    ref<inode> target;
    u64 number = 0;
    tree_node by_name;
    tree_node by_number;
};

struct tmpfs_attribute {
    string name;
    vector<std::byte> value;
};

class tmpfs_inode final : public inode {
public:
    tmpfs_inode(tmpfs& owner, u32 initial_mode, u64 special_device);
    ~tmpfs_inode() override;

    result<ref<inode>> lookup(std::string_view name) override;
    result<void> read_directory(u64 cookie, directory_sink& sink) override;
    result<ref<inode>> create(std::string_view name, u32 mode, u64 special_device) override;
    result<ref<inode>> create_symlink(std::string_view name, std::string_view target) override;
    result<ref<inode>> create_unnamed(u32 mode) override;
    result<void> link(std::string_view name, inode& target) override;
    result<void> unlink(std::string_view name, inode& target) override;
    result<void> remove_directory(std::string_view name, inode& target) override;
    result<void> rename(std::string_view name, inode& moved, inode& to_directory,
                        std::string_view to_name, inode* replaced, bool exchange) override;
    result<string> read_link() override;
    result<void> status(file_status& to) override;
    result<ref<file>> open(dentry& entry, u32 flags) override;
    u64 size() override;
    page_cache* pages() override;
    result<void> resize(u64 size) override;
    result<void> allocate(int mode, u64 offset, u64 length) override;
    result<void> prepare_write(u64 offset, u64 length) override;
    std::atomic<u32>* seals() override { return _pages ? &_seals : nullptr; }
    result<usize> get_xattr(std::string_view name, std::span<std::byte> to) override;
    result<usize> list_xattrs(std::span<std::byte> to) override;
    result<void> set_xattr(std::string_view name, std::span<const std::byte> value,
                           int flags) override;
    result<void> remove_xattr(std::string_view name) override;

private:
    friend result<ref<inode>> make_tmpfs_inode(tmpfs& owner, u32 mode, u64 special_device);

    struct name_order {
        bool operator()(const tmpfs_entry& left, const tmpfs_entry& right) const {
            return left.name.view() < right.name.view();
        }
    };
    struct number_order {
        bool operator()(const tmpfs_entry& left, const tmpfs_entry& right) const {
            return left.number < right.number;
        }
    };

    tmpfs& owner() const { return static_cast<tmpfs&>(filesystem); }
    tmpfs_entry* find(std::string_view name) const;
    result<tmpfs_entry*> make_entry(std::string_view name, ref<inode> target);
    void drop_entry(tmpfs_entry& entry);
    result<void> exchange_entries(tmpfs_entry& mine, tmpfs_inode& other, tmpfs_entry& theirs);
    result<void> punch(u64 offset, u64 length);
    bool sealed(u32 bits) const { return (_seals.load(std::memory_order_relaxed) & bits) != 0; }
    usize find_attribute(std::string_view name) const;

    tree<tmpfs_entry, &tmpfs_entry::by_name, name_order> _by_name;
    tree<tmpfs_entry, &tmpfs_entry::by_number, number_order> _by_number;
    u64 _entry_count = 0;
    u64 _next_entry = 3;  // 1 and 2 are "." and ".."
    std::atomic<u32> _seals{seal_bit::seal};
    vector<tmpfs_attribute> _attributes;
    ref<tmpfs_pages> _pages;
    ref<pipe_buffer> _fifo;
    string _link;
};

// The root of a tree goes with one link more, for its "..".
result<ref<inode>> make_tmpfs_inode(tmpfs& owner, u32 mode, u64 special_device);

}  // namespace kiln
