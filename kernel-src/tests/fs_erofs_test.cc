// EROFS images as mkfs.erofs makes them, in each of its formats, read back and compared with the
// folder they were made from; and damaged ones, which must give errors and never worse.
#include <random>

#include "fs/damage.hh"
#include "fs/erofs.hh"
#include "lib/bytes.hh"
#include "lib/checksum.hh"
#include "fs/lz4.hh"
#include "fs/pipe.hh"
#include "tests/fs_rig.hh"

namespace kiln {
namespace {

using test::error_of;
using test::host_disk;
using test::host_folder;

std::string make_text(size_t size, unsigned seed, bool compressible) {
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < size) {
        if (compressible) {
            text += "line " + std::to_string(random() % 1000) + " of a file that repeats itself\n";
        } else {
            text.push_back(static_cast<char>(random()));
        }
    }
    text.resize(size);
    return text;
}

struct sample {
    std::string name;
    std::string content;
};

// Sizes around every boundary, contents that compress well, badly and extremely.
std::vector<sample> samples() {
    std::vector<sample> all;
    const size_t sizes[] = {0, 1, 100, 4000, 4095, 4096, 4097, 8191, 12345, 65536, 200000, 1500000};
    for (const size_t size : sizes) {
        all.push_back({"text-" + std::to_string(size), make_text(size, 1, true)});
        all.push_back({"noise-" + std::to_string(size), make_text(size, 2, false)});
        all.push_back({"zeros-" + std::to_string(size), std::string(size, '\0')});
    }
    std::string mixed;
    for (unsigned i = 0; i < 40; ++i) {
        mixed += make_text(5000 + i * 700, i, i % 3 != 0);
    }
    all.push_back({"mixed", mixed});
    return all;
}

class erofs_image : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        const std::string in = folder.path + "/tree";
        host_folder::run("mkdir -p " + in + "/deep/er/est " + in + "/many");
        for (const sample& one : samples()) {
            const int fd = ::open((in + "/" + one.name).c_str(), O_CREAT | O_WRONLY, 0640);
            ASSERT_EQ(::write(fd, one.content.data(), one.content.size()),
                      static_cast<ssize_t>(one.content.size()));
            ::close(fd);
        }
        host_folder::run(
            "cd " + in +
            "/many && for i in $(seq 1 700); do echo $i > a-rather-long-file-name-$i; done");
        host_folder::run("ln -s text-100 " + in + "/link; ln -s /deep/../link " + in +
                         "/chain; ln -s loop " + in + "/loop");
        host_folder::run("ln -s $(printf 'x%.0s' $(seq 1 4000)) " + in + "/long; ln " + in +
                         "/mixed " + in + "/hard");
        host_folder::run("mkfifo " + in + "/fifo; chmod 4711 " + in + "/mixed");
        image = folder.path + "/image";
        const std::string made = "mkfs.erofs --quiet -T1000000000 " + std::string(GetParam()) +
                                 " " + image + " " + in + " >/dev/null 2>&1";
        ASSERT_EQ(host_folder::run(made), 0) << made;
    }

    host_folder folder;
    std::string image;
};

TEST_P(erofs_image, reads_back_what_went_in) {
    auto* disk = new host_disk(image);
    auto mounted = mount_root(disk);
    ASSERT_TRUE(mounted.ok()) << error_of(mounted);
    for (const sample& one : samples()) {
        EXPECT_EQ(test::read_path("/" + one.name) == one.content, true) << one.name;
    }
    EXPECT_EQ(test::list_directory("/many").size(), 702u);
    EXPECT_EQ(test::read_path("/many/a-rather-long-file-name-1"), "1\n");
    EXPECT_EQ(test::read_path("/many/a-rather-long-file-name-333"), "333\n");
    EXPECT_EQ(test::read_path("/many/a-rather-long-file-name-700"), "700\n");
    EXPECT_EQ(error_of(open_path("/many/a-rather-long-file-name-701", 0)), ENOENT);
    EXPECT_EQ(error_of(open_path("/many/a", 0)), ENOENT);
    EXPECT_EQ(error_of(open_path("/many/zzz", 0)), ENOENT);
    EXPECT_EQ(test::read_path("/chain").size(), 100u);
    EXPECT_EQ(error_of(open_path("/loop", 0)), ELOOP);
    EXPECT_EQ(error_of(open_path("/long", 0)), ENAMETOOLONG);
    EXPECT_EQ(error_of(open_path("/link/x", 0)), ENOTDIR);
    EXPECT_EQ(error_of(open_path("/new", open_flag::creat | open_flag::wronly)), EROFS);
    EXPECT_EQ(error_of(open_path("/mixed", open_flag::wronly)), EROFS);
    EXPECT_EQ(error_of(open_path("/deep", open_flag::wronly)), EISDIR);
    file_status status;
    ASSERT_TRUE(test::must_open("/hard", open_flag::rdonly)->status(status).ok());
    EXPECT_EQ(status.links, 2u);
    EXPECT_EQ(status.mode, 0104711u);
    EXPECT_EQ(status.modified.seconds, 1000000000);
    RecordProperty("block_reads", static_cast<int>(disk->reads));
}

TEST_P(erofs_image, lists_in_steps_without_loss) {
    ASSERT_TRUE(mount_root(new host_disk(image)).ok());
    ref<file> many = test::must_open("/many", open_flag::rdonly);
    std::vector<std::string> all;
    while (true) {
        test::name_list some;
        some.limit = 7;
        ASSERT_TRUE(many->read_directory(some).ok());
        if (some.names.empty()) {
            break;
        }
        all.insert(all.end(), some.names.begin(), some.names.end());
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all.size(), 702u);
    EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
}

// Reads everything that can be reached, whatever it gives.
void walk_everything(const std::string& path, int depth, size_t& budget) {
    auto opened = open_path(path, open_flag::rdonly | open_flag::nonblock | open_flag::nofollow);
    if (!opened.ok() || depth > 6 || budget == 0) {
        return;
    }
    --budget;
    inode* node = opened.value()->get_inode();
    if (node != nullptr && node->is_directory()) {
        test::name_list found;
        static_cast<void>(opened.value()->read_directory(found));
        for (const std::string& name : found.names) {
            if (name != "." && name != "..") {
                walk_everything(path + "/" + name, depth + 1, budget);
            }
        }
        return;
    }
    std::vector<char> buffer(100000);
    u64 position = 0;
    for (int i = 0; i < 20; ++i) {
        io_vector to = io_vector::kernel(buffer.data(), buffer.size());
        auto count = opened.value()->read(to, position);
        if (!count.ok() || count.value() == 0) {
            return;
        }
    }
}

TEST_P(erofs_image, survives_flipped_bits) {
    const host_disk whole(image);
    std::mt19937 random(7);
    const size_t metadata = std::min<size_t>(whole.bytes.size(), 200000);
    for (int round = 0; round < 12; ++round) {
        auto bytes = whole.bytes;
        for (int flips = 0; flips < 20; ++flips) {
            const size_t at = round % 2 == 0 ? random() % metadata : random() % bytes.size();
            bytes[at] ^= static_cast<std::byte>(1u << (random() % 8));
        }
        if (mount_root(new host_disk(bytes)).ok()) {
            size_t budget = 200;
            walk_everything("", 0, budget);
        }
    }
}

TEST_P(erofs_image, refuses_a_truncated_image) {
    const host_disk whole(image);
    for (const size_t size :
         {size_t{0}, size_t{512}, size_t{1100}, size_t{4096}, whole.bytes.size() / 2}) {
        auto bytes = whole.bytes;
        bytes.resize(size);
        EXPECT_NE(error_of(mount_root(new host_disk(bytes))), 0) << size;
    }
}

INSTANTIATE_TEST_SUITE_P(formats, erofs_image,
                         testing::Values("", "-Enoinline_data", "-Eforce-inode-extended",
                                         "-Eforce-inode-compact", "-zlz4", "-zlz4hc",
                                         "-zlz4 -Elegacy-compress", "-zlz4hc -C16384",
                                         "-zlz4 -C65536 -Eforce-inode-extended",
                                         "-zlz4 -C65536 -Elegacy-compress", "--chunksize=4096",
                                         "--chunksize=65536",
                                         "-Eforce-chunk-indexes --chunksize=4096"));

// --- what is said of damage ---

// One compressed file, so that damage to data can only be in it.
class damaged_image : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        host_folder::run("mkdir -p " + folder.path + "/tree/usr");
        const int fd = ::open((folder.path + "/tree/usr/text").c_str(), O_CREAT | O_WRONLY, 0644);
        ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        ::close(fd);
        const std::string image = folder.path + "/image";
        ASSERT_EQ(host_folder::run("mkfs.erofs --quiet " + std::string(GetParam()) + " " + image +
                                   " " + folder.path + "/tree >/dev/null 2>&1"), 0);
        bytes = host_disk(image).bytes;
    }

    // The superblock's checksum covers its whole block.
    void seal() {
        store<u32>(bytes.data() + 1028, 0);
        store<u32>(bytes.data() + 1028, crc32c(~0u, std::span(bytes).subspan(1024, 4096 - 1024)));
    }

    // Mounts it and reads from the file; the error, and what was said last.
    std::pair<int, std::string> try_to_read(u64 position = 0) {
        auto mounted = mount_root(new host_disk(bytes));
        int error = error_of(mounted);
        if (mounted.ok()) {
            char buffer[4096];
            io_vector to = io_vector::kernel(buffer, sizeof(buffer));
            auto opened = open_path("/usr/text", open_flag::rdonly);
            error = opened.ok() ? error_of(opened.value()->read(to, position)) : error_of(opened);
        }
        return {error, std::string(last_damage().view())};
    }

    // Where the inode of a path lies, by way of the file system itself.
    u64 inode_offset(std::string_view path) {
        EXPECT_TRUE(mount_root(new host_disk(bytes)).ok());
        inode& found = *test::must_open(path, open_flag::rdonly)->get_inode();
        return static_cast<erofs&>(found.filesystem).inode_offset(found.number);
    }

    const std::string text = make_text(300000, 3, true);
    host_folder folder;
    std::vector<std::byte> bytes;
};

TEST_P(damaged_image, in_the_superblock) {
    const auto whole = bytes;
    for (const size_t at : {1028u, 1032u, 1036u, 1038u, 1040u, 1060u, 1064u, 1104u, 4095u}) {
        bytes = whole;
        bytes[at] ^= std::byte{1};
        const auto [error, said] = try_to_read();
        EXPECT_EQ(error, EIO) << at;
        EXPECT_EQ(said.find("host0: the first block is damaged: the superblock's checksum at offset 1028 is "), 0u)
            << at << ": " << said;
    }
    bytes = whole;
    EXPECT_EQ(try_to_read().first, 0);
}

TEST_P(damaged_image, by_truncation) {
    const auto whole = bytes;
    for (const size_t size : {size_t{1536}, size_t{4096}, whole.size() - 512}) {
        bytes = whole;
        bytes.resize(size);
        const auto [error, said] = try_to_read();
        EXPECT_EQ(error, EIO) << size;
        EXPECT_EQ(said, "host0: truncated at offset " + std::to_string(size) +
                            ": the superblock at offset 1024 says " +
                            std::to_string(whole.size()) + " bytes");
    }
}

TEST_P(damaged_image, in_an_inode) {
    const u64 at = inode_offset("/usr/text");
    bytes[at + 1] ^= std::byte{0x80};  // the format's reserved bits
    seal();
    const auto [error, said] = try_to_read();
    EXPECT_EQ(error, EIO);
    EXPECT_NE(said.find(" at offset " + std::to_string(at) + ": unknown inode format 80"),
              std::string::npos)
        << said;
    EXPECT_NE(said.find(" (the file /usr/text)"), std::string::npos) << said;
}

TEST_P(damaged_image, in_a_directory) {
    const u64 at = inode_offset("/usr") + sizeof(erofs_format::compact_inode);
    bytes[at + 8] ^= std::byte{1};  // where the first name begins
    seal();
    const auto [error, said] = try_to_read();
    EXPECT_EQ(error, EIO);
    EXPECT_EQ(said.find("host0: /usr, inode "), 0u) << said;
    EXPECT_NE(said.find(" at offset " + std::to_string(at) + ": "), std::string::npos) << said;
}

TEST_P(damaged_image, in_compressed_data) {
    // The last block holds data: a run of the largest literal length leaves its input.
    const size_t block = bytes.size() - 4096;
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(block), bytes.end(), std::byte{0xff});
    const auto [error, said] = try_to_read(text.size() - 100);
    EXPECT_EQ(error, EIO);
    EXPECT_EQ(said.find("host0: /usr/text, inode "), 0u) << said;
    EXPECT_NE(said.find(": bad LZ4 data for the "), std::string::npos) << said;
    const size_t named = said.find(" at offset ");
    ASSERT_NE(named, std::string::npos) << said;
    const size_t offset = std::stoul(said.substr(named + 11));
    EXPECT_LE(offset, block);
    EXPECT_GE(offset + 65536, bytes.size());
    // What lies before it can still be read, though it is read ahead together with the rest.
    EXPECT_EQ(try_to_read(0).first, 0);
}

INSTANTIATE_TEST_SUITE_P(formats, damaged_image,
                         testing::Values("-zlz4 -Eforce-inode-compact",
                                         "-zlz4hc -C16384 -Eforce-inode-compact",
                                         "-zlz4 -Elegacy-compress -Eforce-inode-compact"));

class byte_collector final : public lz4_decoder::sink {
public:
    void put(std::span<const std::byte> bytes) override {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    std::string text;
};

TEST(lz4, decodes_a_stream_longer_than_its_window) {
    // 10 literals, then one match of distance 10 and 1,000,000 bytes, then 5 literals.
    std::vector<u8> input = {0xaf};
    for (char c : std::string("0123456789")) {
        input.push_back(static_cast<u8>(c));
    }
    input.push_back(10);
    input.push_back(0);
    size_t left = 1000000 - 4 - 15;
    while (left >= 255) {
        input.push_back(255);
        left -= 255;
    }
    input.push_back(static_cast<u8>(left));
    input.push_back(0x50);
    for (char c : std::string("abcde")) {
        input.push_back(static_cast<u8>(c));
    }
    std::vector<std::byte> window(160 * 1024);
    byte_collector out;
    lz4_decoder decoder(window, out);
    ASSERT_TRUE(decoder.decode(std::as_bytes(std::span(input)), 1000015).ok());
    ASSERT_EQ(out.text.size(), 1000015u);
    for (size_t i = 0; i < 1000010; ++i) {
        ASSERT_EQ(out.text[i], static_cast<char>('0' + i % 10)) << i;
    }
    EXPECT_EQ(out.text.substr(1000010), "abcde");
}

TEST(lz4, refuses_distances_before_the_start) {
    const u8 input[] = {0x10, 'a', 2, 0, 0x50, '1', '2', '3', '4', '5'};
    std::vector<std::byte> window(160 * 1024);
    byte_collector out;
    lz4_decoder decoder(window, out);
    EXPECT_EQ(error_of(decoder.decode(std::as_bytes(std::span(input)), 100)), EIO);
}

}  // namespace
}  // namespace kiln
