// tmpfs: files in memory, limited in bytes and in number.
//
// A directory holds its entries in two orders: by name, and by the number under which readdir lists
// them. Entries hold references to inodes; an inode without links lives until its last user closes
// it. Locks: the directory's inode::lock, held by the vfs; counters are atomic. Context: threads.
#pragma once

#include "fs/inode.hh"
#include "lib/tree.hh"
#include "mm/page_cache.hh"

namespace kiln {

class tmpfs final : public superblock {
public:
    // 0: half of memory; one inode a page of memory's half.
    static result<tmpfs*> make(u64 byte_limit, u64 inode_limit, u32 root_mode,
                               std::string_view type_name = "tmpfs");

    result<ref<inode>> root() override;
    void status(filesystem_status& to) override;
    void describe_options(text_sink& sink) override;

    // err::nospc beyond the limit.
    result<void> charge_pages(u64 count);
    void discharge_pages(u64 count) { _pages_used.fetch_sub(count, std::memory_order_relaxed); }
    result<void> charge_inode();
    void discharge_inode() { _inodes_used.fetch_sub(1, std::memory_order_relaxed); }
    u64 next_number() { return _next_number.fetch_add(1, std::memory_order_relaxed); }
    u64 page_limit() const { return _page_limit; }
    u64 pages_used() const { return _pages_used.load(std::memory_order_relaxed); }

private:
    tmpfs(std::string_view type_name, u64 page_limit, u64 inode_limit)
        : superblock(type_name), _page_limit(page_limit), _inode_limit(inode_limit) {}

    const u64 _page_limit;
    const u64 _inode_limit;
    u32 _root_mode = 0;
    std::atomic<u64> _pages_used{0};
    std::atomic<u64> _inodes_used{0};
    std::atomic<u64> _next_number{1};
    ref<inode> _root;
};

// An unnamed file in memory, for memfd_create. `name` is what /proc/self/maps shows.
result<ref<file>> make_memory_file(std::string_view name, u32 flags, bool sealable);

// Pages in all tmpfs, for Shmem of /proc/meminfo.
u64 shared_memory_pages();

}  // namespace kiln
