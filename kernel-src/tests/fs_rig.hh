// What the file-system tests share: a block device over a host file, and a fresh root for each
// test.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "fs/block_device.hh"
#include "fs/dentry.hh"
#include "fs/file.hh"
#include "fs/inode.hh"
#include "fs/vfs.hh"
#include "mm/page_cache.hh"

// File systems live as long as the machine; the leak checker would count each test's.
extern "C" [[gnu::used]] inline const char* __asan_default_options() {
    return "detect_leaks=0";
}

namespace kiln::test {

// A host file (or bytes in memory) as a disk.
class host_disk final : public block_device {
public:
    explicit host_disk(const std::string& path) {
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        EXPECT_GE(fd, 0) << path;
        struct ::stat st {};
        ::fstat(fd, &st);
        bytes.resize(static_cast<size_t>(st.st_size));
        EXPECT_EQ(::pread(fd, bytes.data(), bytes.size(), 0), st.st_size);
        ::close(fd);
    }
    explicit host_disk(std::vector<std::byte> content) : bytes(std::move(content)) {}

    std::string_view name() const override { return "host0"; }
    u64 size_in_bytes() const override { return bytes.size(); }
    bool read_only() const override { return true; }
    result<void> read(u64 offset, std::span<std::byte> into) override {
        if (offset > bytes.size() || into.size() > bytes.size() - offset) {
            return err::inval;
        }
        ++reads;
        std::copy_n(bytes.data() + offset, into.size(), into.data());
        return {};
    }
    result<void> read_scattered(u64 offset, std::span<const std::span<std::byte>> into) override {
        const u64 before = reads;
        for (auto piece : into) {
            TRY(read(offset, piece));
            offset += piece.size();
        }
        reads = before + 1;
        return {};
    }
    result<void> write(u64, std::span<const std::byte>) override { return err::rofs; }
    result<void> flush() override { return {}; }

    std::vector<std::byte> bytes;
    u64 reads = 0;
};

// The error of a result, 0 when it succeeded.
template <class T>
int error_of(const result<T>& outcome) {
    return outcome.ok() ? 0 : static_cast<int>(outcome.error());
}

inline ref<file> must_open(std::string_view path, u32 flags, u32 mode = 0644) {
    auto opened = open_path(path, flags, mode);
    EXPECT_TRUE(opened.ok()) << path << ": error " << error_of(opened);
    return opened.ok() ? opened.take() : ref<file>();
}

inline std::string read_all(file& from) {
    std::string text;
    u64 position = 0;
    while (true) {
        char buffer[10000];
        io_vector to = io_vector::kernel(buffer, sizeof(buffer));
        auto count = from.read(to, position);
        EXPECT_TRUE(count.ok()) << "read at " << position << ": error " << error_of(count);
        if (!count.ok() || count.value() == 0) {
            return text;
        }
        text.append(buffer, count.value());
    }
}

inline std::string read_path(std::string_view path) {
    ref<file> opened = must_open(path, open_flag::rdonly);
    return opened ? read_all(*opened) : "";
}

inline int write_at(file& to, u64 offset, std::string_view text) {
    io_vector from = io_vector::kernel(const_cast<char*>(text.data()), text.size());
    auto count = to.write(from, offset);
    return count.ok() ? static_cast<int>(count.value()) : -error_of(count);
}

inline void write_path(std::string_view path, std::string_view text) {
    ref<file> opened = must_open(path, open_flag::wronly | open_flag::creat | open_flag::trunc);
    ASSERT_TRUE(opened);
    EXPECT_EQ(write_at(*opened, 0, text), static_cast<int>(text.size()));
}

class name_list final : public directory_sink {
public:
    bool add(const directory_entry& entry) override {
        if (names.size() == limit) {
            return false;
        }
        names.emplace_back(entry.name);
        types.push_back(entry.type);
        return true;
    }
    std::vector<std::string> names;
    std::vector<int> types;
    size_t limit = ~size_t{0};
};

inline std::vector<std::string> list_directory(std::string_view path) {
    ref<file> opened = must_open(path, open_flag::rdonly | open_flag::directory);
    name_list found;
    if (opened) {
        auto outcome = opened->read_directory(found);
        EXPECT_TRUE(outcome.ok()) << path << ": error " << error_of(outcome);
    }
    return found.names;
}

// A temporary folder on the host, removed at the end.
class host_folder {
public:
    host_folder() {
        char pattern[] = "/tmp/kiln-fs-XXXXXX";
        path = ::mkdtemp(pattern);
    }
    ~host_folder() { run("rm -rf '" + path + "'"); }
    static int run(const std::string& command) { return std::system(command.c_str()); }
    std::string path;
};

}  // namespace kiln::test
