// Names and files on tmpfs: what each operation does and which errno it refuses with.
#include <thread>

#include "fs/fd_table.hh"
#include "fs/file_lock.hh"
#include "fs/inotify.hh"
#include "fs/mount.hh"
#include "fs/tmpfs.hh"
#include "mm/page_tree.hh"
#include "tests/fs_rig.hh"

namespace kiln {
namespace {

using test::error_of;
using test::must_open;

class vfs : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(mount_root(nullptr).ok());
        start = root_directory();
    }
    int mkdir(std::string_view path) { return error_of(make_directory_at(*start, path, 0777)); }
    int unlink(std::string_view path) { return error_of(unlink_at(*start, path)); }
    int rmdir(std::string_view path) { return error_of(remove_directory_at(*start, path)); }
    int rename(std::string_view from, std::string_view to, u32 flags = 0) {
        return error_of(rename_at(*start, from, *start, to, flags));
    }
    int symlink(std::string_view target, std::string_view path) {
        return error_of(make_symlink_at(*start, path, target));
    }
    int link(std::string_view from, std::string_view to) {
        auto existing = resolve(*start, from, false);
        return existing.ok() ? error_of(link_at(*existing.value(), *start, to))
                             : error_of(existing);
    }
    file_status stat(std::string_view path) {
        file_status status;
        auto found = resolve(*start, path, false);
        EXPECT_TRUE(found.ok()) << path;
        if (found.ok()) {
            EXPECT_TRUE(found.value()->target()->status(status).ok());
        }
        return status;
    }

    ref<dentry> start;
};

TEST_F(vfs, makes_and_removes_directories) {
    EXPECT_EQ(mkdir("/a"), 0);
    EXPECT_EQ(mkdir("/a"), EEXIST);
    EXPECT_EQ(mkdir("/a/b/"), 0);
    EXPECT_EQ(mkdir("/x/y"), ENOENT);
    EXPECT_EQ(stat("/a").links, 3u);
    EXPECT_EQ(rmdir("/a"), ENOTEMPTY);
    EXPECT_EQ(rmdir("/a/."), EINVAL);
    EXPECT_EQ(rmdir("/a/b/.."), ENOTEMPTY);
    EXPECT_EQ(rmdir("/"), EBUSY);
    EXPECT_EQ(unlink("/a/b"), EISDIR);
    EXPECT_EQ(rmdir("/a/b"), 0);
    EXPECT_EQ(stat("/a").links, 2u);
    EXPECT_EQ(rmdir("/a"), 0);
    EXPECT_EQ(rmdir("/a"), ENOENT);
    EXPECT_EQ(mkdir(std::string(256, 'x')), ENAMETOOLONG);
    EXPECT_EQ(mkdir("/" + std::string(255, 'x')), 0);
    EXPECT_EQ(mkdir("/" + std::string(5000, '/') + "z"), ENAMETOOLONG);
}

TEST_F(vfs, a_removed_directory_takes_no_files) {
    ASSERT_EQ(mkdir("/gone"), 0);
    ref<dentry> gone = resolve(*start, "/gone").take();
    ASSERT_EQ(rmdir("/gone"), 0);
    EXPECT_EQ(error_of(open_at(*gone, "f", open_flag::creat | open_flag::wronly, 0600)), ENOENT);
    EXPECT_EQ(error_of(make_directory_at(*gone, "d", 0700)), ENOENT);
}

TEST_F(vfs, an_unlinked_file_lives_until_it_is_closed) {
    test::write_path("/f", "content");
    ref<file> open = must_open("/f", open_flag::rdwr);
    EXPECT_EQ(unlink("/f"), 0);
    EXPECT_EQ(error_of(open_path("/f", 0)), ENOENT);
    EXPECT_EQ(test::read_all(*open), "content");
    file_status status;
    ASSERT_TRUE(open->status(status).ok());
    EXPECT_EQ(status.links, 0u);
    char text[100];
    const usize length = open->describe(text).value_or(0);
    EXPECT_EQ(std::string(text, length), "/f (deleted)");
}

TEST_F(vfs, opens_with_the_right_errors) {
    test::write_path("/f", "1");
    ASSERT_EQ(mkdir("/d"), 0);
    ASSERT_EQ(symlink("f", "/l"), 0);
    ASSERT_EQ(symlink("made", "/dangling"), 0);
    const u32 create = open_flag::creat | open_flag::wronly;
    EXPECT_EQ(error_of(open_path("/f", create | open_flag::excl)), EEXIST);
    EXPECT_EQ(error_of(open_path("/l", create | open_flag::excl)), EEXIST);
    EXPECT_EQ(error_of(open_path("/l", open_flag::nofollow)), ELOOP);
    EXPECT_EQ(error_of(open_path("/l", open_flag::nofollow | open_flag::path)), 0);
    EXPECT_EQ(error_of(open_path("/d", open_flag::wronly)), EISDIR);
    EXPECT_EQ(error_of(open_path("/d", open_flag::creat)), EISDIR);
    EXPECT_EQ(error_of(open_path("/f", open_flag::directory)), ENOTDIR);
    EXPECT_EQ(error_of(open_path("/f/", 0)), ENOTDIR);
    EXPECT_EQ(error_of(open_path("/f/x", 0)), ENOTDIR);
    EXPECT_EQ(error_of(open_path("/new/", create)), EISDIR);
    EXPECT_EQ(error_of(open_path("", 0)), ENOENT);
    EXPECT_EQ(error_of(open_path("/dangling", create)), 0);
    EXPECT_EQ(stat("/made").mode & mode_bit::type_mask, mode_bit::regular);
}

TEST_F(vfs, walks_links_up_and_down) {
    ASSERT_EQ(mkdir("/a"), 0);
    ASSERT_EQ(mkdir("/a/b"), 0);
    test::write_path("/a/f", "here");
    ASSERT_EQ(symlink("../../a/./b//../f", "/a/b/up"), 0);
    EXPECT_EQ(test::read_path("/a/b/up"), "here");
    EXPECT_EQ(test::read_path("/../../a/b/../f"), "here");
    // 40 links are followed, 41 are not.
    test::write_path("/chain0", "end");
    for (int i = 1; i <= 41; ++i) {
        ASSERT_EQ(symlink("chain" + std::to_string(i - 1), "/chain" + std::to_string(i)), 0);
    }
    EXPECT_EQ(test::read_path("/chain40"), "end");
    EXPECT_EQ(error_of(open_path("/chain41", 0)), ELOOP);
}

TEST_F(vfs, renames) {
    ASSERT_EQ(mkdir("/d"), 0);
    ASSERT_EQ(mkdir("/d/e"), 0);
    test::write_path("/f", "f");
    test::write_path("/g", "g");
    EXPECT_EQ(rename("/f", "/g"), 0);
    EXPECT_EQ(test::read_path("/g"), "f");
    EXPECT_EQ(error_of(open_path("/f", 0)), ENOENT);
    EXPECT_EQ(rename("/g", "/d"), EISDIR);
    EXPECT_EQ(rename("/d", "/g"), ENOTDIR);
    EXPECT_EQ(rename("/d", "/d/e/x"), EINVAL);
    EXPECT_EQ(rename("/d/e", "/d"), ENOTEMPTY);
    EXPECT_EQ(rename("/none", "/x"), ENOENT);
    EXPECT_EQ(rename("/g", "/none/x"), ENOENT);
    EXPECT_EQ(rename("/d/.", "/x"), EBUSY);
    EXPECT_EQ(rename("/g", "/x/"), ENOTDIR);
    EXPECT_EQ(rename("/g", "/d/h"), 0);
    EXPECT_EQ(test::read_path("/d/h"), "f");
    ASSERT_EQ(link("/d/h", "/h2"), 0);
    EXPECT_EQ(rename("/d/h", "/h2"), 0);  // one file: both names stay
    EXPECT_EQ(stat("/d/h").links, 2u);
    EXPECT_EQ(rename("/d/e", "/moved"), 0);
    EXPECT_EQ(stat("/d").links, 2u);
}

TEST_F(vfs, renames_without_replacing_and_by_exchange) {
    ASSERT_EQ(mkdir("/d"), 0);
    test::write_path("/d/inner", "i");
    test::write_path("/f", "f");
    EXPECT_EQ(rename("/f", "/d", 1), EEXIST);
    EXPECT_EQ(rename("/f", "/d", 3), EINVAL);
    EXPECT_EQ(rename("/f", "/none", 2), ENOENT);
    EXPECT_EQ(rename("/f", "/d", 2), 0);
    EXPECT_EQ(test::read_path("/d"), "f");
    EXPECT_EQ(test::read_path("/f/inner"), "i");
}

TEST_F(vfs, links) {
    test::write_path("/f", "x");
    EXPECT_EQ(link("/f", "/g"), 0);
    EXPECT_EQ(link("/f", "/g"), EEXIST);
    EXPECT_EQ(stat("/f").links, 2u);
    EXPECT_EQ(stat("/f").inode_number, stat("/g").inode_number);
    ASSERT_EQ(mkdir("/d"), 0);
    EXPECT_EQ(link("/d", "/e"), EPERM);
    ASSERT_TRUE(mount_tmpfs("/m", {}).ok());
    EXPECT_EQ(link("/f", "/m/f"), EXDEV);
    EXPECT_EQ(rename("/f", "/m/f"), EXDEV);
    EXPECT_EQ(rmdir("/m"), EBUSY);
    EXPECT_EQ(rename("/m", "/n"), EBUSY);
}

TEST_F(vfs, limits_bytes_and_counts_pages_back) {
    ASSERT_TRUE(mount_tmpfs("/small", {.size = 64 * KiB}).ok());
    ref<file> open = must_open("/small/f", open_flag::rdwr | open_flag::creat);
    const std::string block(100000, 'b');
    EXPECT_EQ(test::write_at(*open, 0, block), 65536);
    EXPECT_EQ(test::write_at(*open, 65536, "x"), -ENOSPC);
    ASSERT_TRUE(open->truncate(4096).ok());
    EXPECT_EQ(test::write_at(*open, 4096, block), 61440);
    filesystem_status status;
    open->get_inode()->filesystem.status(status);
    EXPECT_EQ(status.blocks, 16u);
    EXPECT_EQ(status.free_blocks, 0u);
    EXPECT_EQ(unlink("/small/f"), 0);
    open = nullptr;
    ref<dentry> root = resolve(*start, "/small").take();
    root->target()->filesystem.status(status);
    EXPECT_EQ(status.free_blocks, 16u);
}

TEST_F(vfs, sparse_files_have_holes) {
    ref<file> open = must_open("/sparse", open_flag::rdwr | open_flag::creat);
    ASSERT_EQ(test::write_at(*open, u64{1} << 40, "end"), 3);
    EXPECT_EQ(test::write_at(*open, 8192, "middle"), 6);
    file_status status;
    ASSERT_TRUE(open->status(status).ok());
    EXPECT_EQ(status.size, (u64{1} << 40) + 3);
    EXPECT_EQ(status.blocks, 16u);
    constexpr int data = 3, hole = 4;
    EXPECT_EQ(open->seek(0, data).value_or(0), 8192u);
    EXPECT_EQ(open->seek(8192, hole).value_or(0), 12288u);
    EXPECT_EQ(open->seek(12288, data).value_or(0), u64{1} << 40);
    EXPECT_EQ(open->seek(0, hole).value_or(1), 0u);
    EXPECT_EQ(error_of(open->seek((u64{1} << 40) + 3, data)), ENXIO);
    constexpr int punch = 3, keep_size = 1;
    ASSERT_TRUE(open->allocate(punch, 8192 + 1, 4).ok());
    char text[7] = {};
    u64 position = 8192;
    io_vector to = io_vector::kernel(text, 6);
    ASSERT_EQ(open->read(to, position).value_or(0), 6u);
    EXPECT_EQ(std::string(text, 6), std::string("m\0\0\0\0e", 6));
    ASSERT_TRUE(open->allocate(punch, 4096, 8192).ok());
    EXPECT_EQ(open->seek(0, data).value_or(0), u64{1} << 40);
    ASSERT_TRUE(open->allocate(keep_size, 0, 4096).ok());
    EXPECT_EQ(open->seek(0, data).value_or(1), 0u);
    EXPECT_EQ(error_of(open->allocate(0x10, 0, 4096)), EOPNOTSUPP);
}

TEST_F(vfs, truncation_zeroes_what_is_cut_off) {
    ref<file> open = must_open("/t", open_flag::rdwr | open_flag::creat);
    ASSERT_EQ(test::write_at(*open, 0, std::string(6000, 'x')), 6000);
    ASSERT_TRUE(open->truncate(100).ok());
    ASSERT_TRUE(open->truncate(6000).ok());
    EXPECT_EQ(test::read_all(*open), std::string(100, 'x') + std::string(5900, '\0'));
}

TEST_F(vfs, lists_while_entries_go) {
    ASSERT_EQ(mkdir("/many"), 0);
    for (int i = 0; i < 100; ++i) {
        test::write_path("/many/" + std::to_string(i), "");
    }
    ref<file> open = must_open("/many", open_flag::rdonly);
    std::vector<std::string> seen;
    while (true) {
        test::name_list some;
        some.limit = 9;
        ASSERT_TRUE(open->read_directory(some).ok());
        if (some.names.empty()) {
            break;
        }
        for (const std::string& name : some.names) {
            seen.push_back(name);
            if (name[0] != '.') {
                EXPECT_EQ(unlink("/many/" + name), 0);
            }
        }
    }
    EXPECT_EQ(seen.size(), 102u);
    EXPECT_EQ(rmdir("/many"), 0);
}

TEST_F(vfs, copies_the_tree_below_a_mount) {
    ASSERT_EQ(mkdir("/var"), 0);
    ASSERT_EQ(mkdir("/var/lib"), 0);
    test::write_path("/var/lib/f", std::string(10000, 'y'));
    ASSERT_EQ(symlink("lib/f", "/var/l"), 0);
    ASSERT_TRUE(mount_tmpfs("/var", {.copy = true}).ok());
    EXPECT_EQ(test::read_path("/var/l"), std::string(10000, 'y'));
    EXPECT_EQ(unlink("/var/lib/f"), 0);
    EXPECT_EQ(mount_count(), 2u);
    EXPECT_EQ(test::list_directory("/var/lib").size(), 2u);
    ref<dentry> root = resolve(*start, "/var").take();
    ASSERT_TRUE(unmount(*root).ok());
    EXPECT_EQ(test::read_path("/var/l").size(), 10000u);
}

TEST_F(vfs, locks_split_and_conflict) {
    test::write_path("/f", "");
    ref<file> open = must_open("/f", open_flag::rdwr);
    inode& node = *open->get_inode();
    int left = 0, right = 0;
    ASSERT_TRUE(
        set_file_lock(node, {.exclusive = true, .start = 0, .end = 99, .owner = &left}, false)
            .ok());
    EXPECT_EQ(error_of(set_file_lock(node, {.start = 99, .end = 99, .owner = &right}, false)),
              EAGAIN);
    ASSERT_TRUE(clear_file_lock(node, {.start = 40, .end = 59, .owner = &left}).ok());
    EXPECT_EQ(error_of(set_file_lock(
                  node, {.exclusive = true, .start = 40, .end = 59, .owner = &right}, false)),
              0);
    lock_request probe{.exclusive = true, .start = 60, .end = 70, .owner = &right};
    ASSERT_TRUE(find_file_lock(node, probe));
    EXPECT_EQ(probe.start, 60u);
    EXPECT_EQ(probe.end, 99u);
    drop_file_locks(node, &left);
    EXPECT_FALSE(
        find_file_lock(node, probe = {.exclusive = true, .start = 60, .end = 70, .owner = &right}));
    // flock lives apart.
    EXPECT_EQ(
        error_of(set_file_lock(
            node, {.exclusive = true, .start = 0, .end = ~u64{0}, .owner = &left, .flock = true},
            false)),
        0);
    EXPECT_EQ(
        error_of(set_file_lock(
            node, {.exclusive = true, .start = 0, .end = ~u64{0}, .owner = &right, .flock = true},
            false)),
        EAGAIN);
}

TEST_F(vfs, inotify_tells_what_happens_in_a_directory) {
    ASSERT_EQ(mkdir("/w"), 0);
    ref<file> watcher = make_inotify(open_flag::nonblock).take();
    ref<dentry> directory = resolve(*start, "/w").take();
    const int watch =
        inotify_add(*watcher, *directory, inotify_event_bit::create | inotify_event_bit::removed)
            .value_or(-1);
    ASSERT_EQ(watch, 1);
    EXPECT_EQ(watcher->poll_events(), 0u);
    test::write_path("/w/file", "x");
    EXPECT_NE(watcher->poll_events() & poll_event::in, 0u);
    EXPECT_EQ(unlink("/w/file"), 0);
    char events[200];
    io_vector to = io_vector::kernel(events, sizeof(events));
    u64 ignored = 0;
    ASSERT_EQ(watcher->read(to, ignored).value_or(0), 64u);
    EXPECT_EQ(*reinterpret_cast<u32*>(events + 4), inotify_event_bit::create);
    EXPECT_STREQ(events + 16, "file");
    EXPECT_EQ(*reinterpret_cast<u32*>(events + 32 + 4), inotify_event_bit::removed);
    EXPECT_EQ(error_of(inotify_remove(*watcher, 99)), EINVAL);
    EXPECT_EQ(error_of(inotify_remove(*watcher, watch)), 0);
}

TEST(descriptors_table, gives_the_lowest_free_number) {
    ASSERT_TRUE(mount_root(nullptr).ok());
    test::write_path("/f", "");
    ref<file> open = must_open("/f", open_flag::rdwr);
    descriptors::close_all();
    descriptors::set_limit(2000);
    for (int i = 0; i < 1500; ++i) {
        ASSERT_EQ(descriptors::install(open, i % 2 == 0).value_or(-1), i);
    }
    ASSERT_TRUE(descriptors::close(700).ok());
    ASSERT_TRUE(descriptors::close(5).ok());
    EXPECT_EQ(error_of(descriptors::close(5)), EBADF);
    EXPECT_EQ(descriptors::install(open, false, 6).value_or(-1), 700);
    EXPECT_EQ(descriptors::install(open, false).value_or(-1), 5);
    EXPECT_EQ(descriptors::install(open, false).value_or(-1), 1500);
    EXPECT_TRUE(descriptors::close_on_exec(4).value_or(false));
    EXPECT_FALSE(descriptors::close_on_exec(5).value_or(true));
    EXPECT_EQ(error_of(descriptors::install_at(2000, open, false)), EBADF);
    EXPECT_EQ(error_of(descriptors::install_at(1999, open, false)), 0);
    EXPECT_EQ(descriptors::next_open(1501), 1999);
    descriptors::set_limit(1501);
    EXPECT_EQ(error_of(descriptors::install(open, false)), EMFILE);
    EXPECT_EQ(error_of(descriptors::get(-1)), EBADF);
    EXPECT_EQ(descriptors::open_count(), 1502u);
    descriptors::close_range(10, 1000, false);
    EXPECT_EQ(descriptors::open_count(), 511u);
    descriptors::close_all();
    EXPECT_EQ(descriptors::open_count(), 0u);
    EXPECT_EQ(open->reference_count(), 1u);
}

TEST(page_tree, finds_what_was_put_in) {
    page_tree tree;
    const u64 numbers[] = {0, 1, 63, 64, 4095, 4096, u64{1} << 36, ~u64{0}};
    int values[std::size(numbers)];
    for (usize i = 0; i < std::size(numbers); ++i) {
        page_tree::spare_nodes spares;
        ASSERT_TRUE(spares.fill(tree.nodes_missing(numbers[i])).ok());
        tree.insert(numbers[i], &values[i], spares);
        EXPECT_EQ(spares.count(), 0u);
    }
    u64 at = 0;
    for (usize i = 0; i < std::size(numbers); ++i) {
        EXPECT_EQ(tree.next(at), &values[i]);
        EXPECT_EQ(at, numbers[i]);
        ++at;
    }
    EXPECT_EQ(tree.find(2), nullptr);
    for (usize i = 0; i < std::size(numbers); ++i) {
        EXPECT_EQ(tree.remove(numbers[i]), &values[i]);
        EXPECT_EQ(tree.remove(numbers[i]), nullptr);
    }
    EXPECT_EQ(tree.next(at = 0), nullptr);
}

}  // namespace
}  // namespace kiln
