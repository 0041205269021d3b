// Disks and partitions as files: names and numbers, faults of the device, and what may be written.
#include "fs/block_file.hh"

#include "fs/partition.hh"
#include "lib/bytes.hh"
#include "lib/checksum.hh"
#include "tests/fs_rig.hh"

namespace kiln {
namespace {

using test::error_of;
using test::must_open;
using test::write_at;

constexpr u64 sector = 512;

// A disk in memory. Never destroyed, as the registry keeps it.
class memory_disk final : public block_device {
public:
    memory_disk(std::string_view name, u64 sectors) : bytes(sectors * sector), _name(name) {}

    std::string_view name() const override { return _name; }
    u64 size_in_bytes() const override { return bytes.size(); }
    bool read_only() const override { return protect; }
    result<void> read(u64 offset, std::span<std::byte> into) override {
        if (offset + into.size() > fails_from) {
            return err::io;
        }
        std::copy_n(bytes.data() + offset, into.size(), into.data());
        return {};
    }
    result<void> write(u64 offset, std::span<const std::byte> from) override {
        if (offset + from.size() > fails_from) {
            return err::io;
        }
        std::copy(from.begin(), from.end(), bytes.data() + offset);
        return {};
    }
    result<void> flush() override {
        ++flushes;
        return {};
    }

    std::vector<std::byte> bytes;
    u64 fails_from = ~u64{0};
    u32 flushes = 0;
    bool protect = false;

private:
    std::string _name;
};

memory_disk& add_disk(std::string_view name, u64 sectors = 2048) {
    auto* made = new memory_disk(name, sectors);
    register_block_device(*made);
    return *made;
}

struct gpt_range {
    u64 first, last;
    std::string_view name;
};

void write_table(memory_disk& disk, std::initializer_list<gpt_range> ranges) {
    std::byte* entries = disk.bytes.data() + 2 * sector;
    std::byte* header = disk.bytes.data() + sector;
    u32 count = 0;
    for (const gpt_range& range : ranges) {
        std::byte* entry = entries + 128 * count++;
        store<u64>(entry, 1);
        store<u64>(entry + 32, range.first);
        store<u64>(entry + 40, range.last);
        for (usize i = 0; i < range.name.size(); ++i) {
            store<u16>(entry + 56 + 2 * i, static_cast<u8>(range.name[i]));
        }
    }
    store<u64>(header, 0x5452415020494645);
    store<u32>(header + 12, 92);
    store<u64>(header + 72, 2);
    store<u32>(header + 80, 128);
    store<u32>(header + 84, 128);
    store<u32>(header + 88, crc32({entries, usize{128} * 128}));
    store<u32>(header + 16, 0);
    store<u32>(header + 16, crc32({header, 92}));
}

class block_files : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(mount_root(nullptr).ok());
        start = root_directory();
    }
    std::string node(const block_device& of) {
        const std::string path = "/" + std::string(of.name());
        EXPECT_TRUE(make_node_at(*start, path, mode_bit::block | 0600, of.device_number).ok());
        return path;
    }
    ref<dentry> start;
};

TEST_F(block_files, numbers_are_linux_s) {
    EXPECT_EQ(add_disk("sda").device_number, make_device(8, 0));
    EXPECT_EQ(add_disk("sdc").device_number, make_device(8, 32));
    EXPECT_EQ(add_disk("vdb").device_number, make_device(254, 16));
    EXPECT_EQ(add_disk("nvme0n1").device_number, make_device(259, 0));
    EXPECT_EQ(add_disk("nvme1n1").device_number, make_device(259, 1));
}

TEST_F(block_files, what_is_written_is_read) {
    memory_disk& disk = add_disk("vdc");
    ref<file> open = must_open(node(disk), open_flag::rdwr);
    const std::string text(700'000, 'x');
    EXPECT_EQ(write_at(*open, 12345, text), 700'000);
    EXPECT_EQ(disk.bytes[12344], std::byte{0});
    EXPECT_EQ(disk.bytes[12345], std::byte{'x'});
    EXPECT_EQ(disk.bytes[712'344], std::byte{'x'});
    EXPECT_EQ(disk.bytes[712'345], std::byte{0});
    EXPECT_EQ(test::read_all(*open).substr(12345, 700'000), text);
    EXPECT_EQ(disk.flushes, 0u);
    EXPECT_TRUE(open->sync(false).ok());
    EXPECT_EQ(disk.flushes, 1u);
}

TEST_F(block_files, a_device_s_error_is_told_and_what_went_before_it_counts) {
    memory_disk& disk = add_disk("vdd");
    ref<file> open = must_open(node(disk), open_flag::rdwr);
    disk.fails_from = 600'000;
    const std::string text(900'000, 'y');
    const int written = write_at(*open, 0, text);
    EXPECT_GT(written, 0);
    EXPECT_LE(written, 600'000);
    EXPECT_EQ(write_at(*open, 700'000, text), -EIO);
    char buffer[10];
    io_vector to = io_vector::kernel(buffer, sizeof(buffer));
    u64 at = 650'000;
    EXPECT_EQ(error_of(open->read(to, at)), EIO);
}

TEST_F(block_files, a_protected_disk_is_not_written) {
    memory_disk& disk = add_disk("vde");
    disk.protect = true;
    ref<file> open = must_open(node(disk), open_flag::rdwr);
    EXPECT_EQ(write_at(*open, 0, "text"), -EPERM);
}

TEST_F(block_files, a_number_without_a_device) {
    EXPECT_TRUE(make_node_at(*start, "/none", mode_bit::block | 0600, make_device(8, 240)).ok());
    EXPECT_EQ(error_of(open_path("/none", open_flag::rdonly)), ENXIO);
}

TEST_F(block_files, partitions_stay_within_theirs_and_the_root_s_is_not_written) {
    memory_disk& disk = add_disk("sdd");
    write_table(disk, {{64, 127, "kiln-boot"},
                       {128, 1023, "kiln-root"},
                       {1024, 1535, "kiln-data"},
                       {1536, 2048, "beyond"}});
    block_device* root = find_partition(disk, "kiln-root");
    ASSERT_NE(root, nullptr);
    EXPECT_EQ(root->name(), "sdd2");
    EXPECT_EQ(find_partition(disk, "kiln-root"), nullptr) << "they were registered twice";
    block_device* data = block_device_by_number(make_device(8, 51));
    ASSERT_NE(data, nullptr);
    EXPECT_EQ(data->name(), "sdd3");
    EXPECT_EQ(block_device_by_number(make_device(8, 52)), nullptr) << "it lies beyond the end";
    set_root_device(*root);
    EXPECT_EQ(error_of(open_path(node(*root), open_flag::rdwr)), EBUSY);
    EXPECT_EQ(error_of(open_path(node(disk), open_flag::wronly)), EBUSY);
    EXPECT_EQ(error_of(open_path("/sdd", open_flag::rdonly)), 0);
    ref<file> open = must_open(node(*data), open_flag::rdwr);
    EXPECT_EQ(write_at(*open, 512 * sector - 4, "more than fits"), 4);
    EXPECT_EQ(write_at(*open, 512 * sector, "x"), -ENOSPC);
    EXPECT_EQ(disk.bytes[1536 * sector - 1], std::byte{'e'});
    EXPECT_EQ(disk.bytes[1536 * sector], std::byte{0});
}

TEST_F(block_files, flushing_all_asks_those_that_were_written) {
    memory_disk &written = add_disk("vdf"), &other = add_disk("vdg");
    EXPECT_EQ(write_at(*must_open(node(written), open_flag::rdwr), 0, "x"), 1);
    EXPECT_TRUE(flush_block_devices().ok());
    EXPECT_TRUE(flush_block_devices().ok());
    EXPECT_EQ(written.flushes, 1u);
    EXPECT_EQ(other.flushes, 0u);
}

}  // namespace
}  // namespace kiln
