// What the page cache gives back when memory is short, and how long it keeps others out meanwhile.
#include <gtest/gtest.h>

#include "core/page.hh"
#include "mm/page_cache.hh"
#include "tests/host/host.hh"

namespace kiln {
namespace {

// A file of `count` pages, all of them read and used.
class used_file final : public page_cache {
public:
    explicit used_file(u64 count) {
        set_size(count * page_size);
        for (u64 index = 0; index < count; ++index) {
            touch(index);
            touch(index);
        }
    }
    ~used_file() override { drop_all(); }

    void touch(u64 index) { drop_page_reference(*get_page(index, false).take()); }

protected:
    result<void> fill(u64, std::span<page* const>) override { return {}; }
};

constexpr u64 file_pages = 2000;

TEST(page_cache, gives_back_as_many_as_wanted) {
    used_file file(file_pages);
    EXPECT_EQ(reclaim_page_cache(300), 300u);
    EXPECT_EQ(file.page_count(), file_pages - 300);
    EXPECT_EQ(page_cache_pages(), file_pages - 300);
}

TEST(page_cache, keeps_what_is_in_use) {
    used_file file(10);
    page* const held = file.get_page(3, false).take();
    EXPECT_EQ(reclaim_page_cache(100), 9u);
    EXPECT_EQ(file.page_count(), 1u);
    drop_page_reference(*held);
}

// All pages are held, so that the hand goes round twice in vain. It must let others at the list, and
// other threads at the CPU, far more often than that.
TEST(page_cache, a_long_round_is_broken_up) {
    used_file file(file_pages);
    std::vector<page*> held;
    for (u64 index = 0; index < file_pages; ++index) {
        held.push_back(file.get_page(index, false).take());
    }
    const u64 before = host::yield_count();
    EXPECT_EQ(reclaim_page_cache(1), 0u);
    EXPECT_GE(host::yield_count() - before, 2 * file_pages / 256);
    for (page* each : held) {
        drop_page_reference(*each);
    }
}

}  // namespace
}  // namespace kiln
