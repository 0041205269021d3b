// Open files that have an inode and a name: regular files, directories, O_PATH handles.
#pragma once

#include "fs/dentry.hh"
#include "fs/file.hh"
#include "mm/vm_object.hh"

namespace kiln {

// RLIMIT_FSIZE.
extern std::atomic<u64> file_size_limit;

// Holds the name; answers what every named file answers.
class inode_file : public file {
public:
    inode_file(dentry& entry, u32 flags) : file(flags), _entry(&entry), _inode(entry.target()) {}
    ~inode_file() override;

    result<void> status(file_status& to) override { return _inode->status(to); }
    result<usize> describe(std::span<char> to) override;
    result<void> sync(bool) override { return {}; }
    inode* get_inode() override { return _inode.get(); }
    dentry* get_dentry() override { return _entry.get(); }
    bool pollable() const override { return false; }
    void descriptor_closed() override;

protected:
    inode& node() const { return *_inode; }

private:
    ref<dentry> _entry;
    ref<inode> _inode;
};

// A file whose bytes are in its inode's page cache.
class regular_file final : public inode_file {
public:
    using inode_file::inode_file;

    result<usize> read(io_vector& to, u64& position) override;
    result<usize> write(io_vector& from, u64& position) override;
    bool seekable() const override { return true; }
    result<u64> seek(i64 offset, int whence) override;
    result<void> truncate(u64 size) override;
    result<void> allocate(int mode, u64 offset, u64 length) override;
    result<ref<vm_object>> mapping(bool writable_shared) override;
    result<i64> ioctl(u32 command, u64 argument) override;
    bool is_splice_source() const override { return true; }
    bool is_splice_target() const override { return true; }

private:
    result<usize> write_within_limit(io_vector& from, u64 at);
    result<u64> seek_content(u64 offset, bool data);
};

// Its position is the cookie after which listing goes on.
class directory_file final : public inode_file {
public:
    using inode_file::inode_file;

    result<usize> read(io_vector&, u64&) override { return err::isdir; }
    bool seekable() const override { return true; }
    result<u64> seek(i64 offset, int whence) override;
    result<void> read_directory(directory_sink& sink) override;
};

// O_PATH: names a place in the tree and nothing more.
class path_file final : public inode_file {
public:
    using inode_file::inode_file;

    result<usize> read(io_vector&, u64&) override { return err::badf; }
    result<usize> write(io_vector&, u64&) override { return err::badf; }
    result<u64> seek(i64, int) override { return err::badf; }
    result<void> sync(bool) override { return err::badf; }
    result<i64> ioctl(u32, u64) override { return err::badf; }
    result<ref<vm_object>> mapping(bool) override { return err::badf; }
};

// What a seekable file's lseek does with SEEK_SET, SEEK_CUR and SEEK_END.
result<u64> plain_seek(u64 position, u64 size, i64 offset, int whence);

}  // namespace kiln
