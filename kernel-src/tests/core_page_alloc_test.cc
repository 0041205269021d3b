// core/: the page allocator: blocks that do not overlap, buddies that find together, the reserve.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <vector>

#include "core/page.hh"
#include "tests/host/memory.hh"

using namespace kiln;

namespace {

constexpr u32 max_order = 10;

page& allocate(u32 order, alloc_mode mode = alloc_mode::nowait) {
    result<page*> made = alloc_pages(order, mode);
    EXPECT_TRUE(made.ok());
    return *made.value();
}

u64 free_pages() {
    return memory_now().free_pages;
}

// All that there is, in single pages.
std::vector<page*> take_everything(alloc_mode mode) {
    std::vector<page*> taken;
    for (;;) {
        result<page*> made = alloc_pages(0, mode);
        if (!made.ok()) {
            EXPECT_EQ(made.error(), err::nomem);
            return taken;
        }
        taken.push_back(made.value());
    }
}

void give_back(const std::vector<page*>& taken) {
    for (page* each : taken) {
        drop_page_reference(*each);
    }
}

TEST(page_alloc, a_block_is_aligned_to_its_size_and_counted) {
    for (u32 order = 0; order <= max_order; ++order) {
        const u64 before = free_pages();
        page& block = allocate(order);
        EXPECT_EQ(page_to_phys(block) % (page_size << order), 0u) << "order " << order;
        EXPECT_EQ(&phys_to_page(page_to_phys(block)), &block);
        EXPECT_EQ(before - free_pages(), u64{1} << order);
        drop_page_reference(block);
        EXPECT_EQ(free_pages(), before);
    }
}

TEST(page_alloc, an_order_beyond_the_largest_is_refused) {
    result<page*> made = alloc_pages(max_order + 1, alloc_mode::nowait);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error(), err::nomem);
}

TEST(page_alloc, a_page_goes_back_with_its_last_reference) {
    const u64 before = free_pages();
    page& shared = allocate(0);
    add_page_reference(shared);
    drop_page_reference(shared);
    EXPECT_EQ(free_pages(), before - 1);
    drop_page_reference(shared);
    EXPECT_EQ(free_pages(), before);
}

TEST(page_alloc, a_zeroed_page_is_zero_also_when_it_was_used) {
    page& used = allocate(0);
    std::memset(page_data(used), 0xff, page_size);
    drop_page_reference(used);
    result<page*> made = alloc_zeroed_page(alloc_mode::nowait);
    ASSERT_TRUE(made.ok());
    const std::vector<char> zeros(page_size, 0);
    EXPECT_EQ(std::memcmp(page_data(*made.value()), zeros.data(), page_size), 0);
    drop_page_reference(*made.value());
}

TEST(page_alloc, blocks_never_overlap_under_random_changes) {
    std::map<u64, page*> held;  // by physical start
    const u64 before = free_pages();
    u32 seed = 7;
    auto random = [&seed](u32 limit) {
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % limit;
    };
    for (int round = 0; round < 20000; ++round) {
        if (held.size() > 200 || (!held.empty() && random(2) == 0)) {
            auto chosen = std::next(held.begin(), random(static_cast<u32>(held.size())));
            drop_page_reference(*chosen->second);
            held.erase(chosen);
            continue;
        }
        page& block = allocate(random(6));
        const u64 start = page_to_phys(block);
        const u64 end = start + (page_size << block.order);
        auto after = held.lower_bound(start);
        ASSERT_TRUE(after == held.end() || after->first >= end);
        if (after != held.begin()) {
            auto ahead = std::prev(after);
            ASSERT_LE(ahead->first + (page_size << ahead->second->order), start);
        }
        held[start] = &block;
    }
    for (auto& [start, block] : held) {
        drop_page_reference(*block);
    }
    EXPECT_EQ(free_pages(), before);
}

TEST(page_alloc, single_pages_grow_together_to_the_largest_blocks) {
    std::vector<page*> taken = take_everything(alloc_mode::atomic);
    // In an order that leaves holes everywhere until the second half.
    std::vector<page*> odd, even;
    for (page* each : taken) {
        (page_to_phys(*each) >> page_shift & 1 ? odd : even).push_back(each);
    }
    give_back(odd);
    EXPECT_FALSE(alloc_pages(1, alloc_mode::nowait).ok());
    give_back(even);
    std::vector<page*> blocks;
    const u64 largest = free_pages() >> max_order;
    for (;;) {
        result<page*> made = alloc_pages(max_order, alloc_mode::nowait);
        if (!made.ok()) {
            break;
        }
        blocks.push_back(made.value());
    }
    EXPECT_GE(blocks.size() + 1, largest);  // the reserve may keep the last from being given
    give_back(blocks);
}

TEST(page_alloc, the_reserve_is_for_those_who_cannot_wait) {
    std::vector<page*> usual = take_everything(alloc_mode::nowait);
    EXPECT_GT(free_pages(), 0u);
    std::vector<page*> reserve = take_everything(alloc_mode::atomic);
    EXPECT_EQ(reserve.size(), 64u);
    EXPECT_EQ(free_pages(), 0u);
    give_back(reserve);
    give_back(usual);
}

}  // namespace
