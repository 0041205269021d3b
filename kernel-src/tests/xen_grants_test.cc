// What other domains may reach: the grant table, the pages granted, and rings in such pages.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "drivers/xen/granted_page.hh"
#include "drivers/xen/page_pool.hh"
#include "drivers/xen/shared_ring.hh"
#include "tests/host/host.hh"
#include "tests/xen_rig.hh"

namespace kiln::xen {
namespace {

constexpr auto read_write = grant_access::read_write, read_only = grant_access::read_only;

// ---- the table ----

TEST(xen_grant_table, an_entry_names_domain_frame_and_access) {
    grant_rig rig;
    const grant_reference first = rig.table.permit(5, 0x1234, read_write).value();
    const grant_reference second = rig.table.permit(6, 0x5678, read_only).value();
    EXPECT_GE(first, grant_table::reserved_entries);
    EXPECT_EQ(rig.entry(first).domain, 5);
    EXPECT_EQ(rig.entry(first).frame, 0x1234u);
    EXPECT_EQ(rig.entry(first).flags, grant_flag::permit_access);
    EXPECT_EQ(rig.entry(second).flags, grant_flag::permit_access | grant_flag::read_only);
    EXPECT_TRUE(rig.table.end(first).ok());
    EXPECT_EQ(rig.entry(first).flags, 0);
    EXPECT_EQ(rig.table.permit(5, 1, read_write).value(), first);
}

TEST(xen_grant_table, it_grows_by_frames_and_is_full_at_its_limit) {
    grant_rig rig(2);
    std::set<grant_reference> given;
    const u32 all = 2 * grant_table::entries_of_a_frame - grant_table::reserved_entries;
    for (u32 i = 0; i < all; ++i) {
        const auto made = rig.table.permit(1, i, read_write);
        ASSERT_TRUE(made.ok());
        ASSERT_TRUE(given.insert(made.value()).second);
    }
    EXPECT_EQ(*given.begin(), grant_table::reserved_entries);
    EXPECT_EQ(rig.frames(), 2u);
    EXPECT_EQ(rig.table.permit(1, 1, read_write).error(), err::nospc);
    EXPECT_TRUE(rig.table.end(*given.rbegin()).ok());
    EXPECT_TRUE(rig.table.permit(1, 1, read_write).ok());
}

TEST(xen_grant_table, an_entry_in_use_stays) {
    grant_rig rig;
    const grant_reference reference = rig.table.permit(1, 9, read_write).value();
    for (const u16 use : {grant_flag::reading, grant_flag::writing}) {
        rig.entry(reference).flags |= use;
        EXPECT_EQ(rig.table.end(reference).error(), err::busy);
        EXPECT_EQ(rig.entry(reference).frame, 9u);
        rig.entry(reference).flags &= static_cast<u16>(~use);
    }
    EXPECT_TRUE(rig.table.end(reference).ok());
}

TEST(xen_grant_table, frames_beyond_its_numbers_and_frames_not_to_be_had_are_errors) {
    grant_rig rig;
    EXPECT_EQ(rig.table.permit(1, u64{1} << 32, read_write).error(), err::inval);
    rig.refuses = true;
    EXPECT_EQ(rig.table.permit(1, 1, read_write).error(), err::nomem);
    rig.refuses = false;
    EXPECT_TRUE(rig.table.permit(1, 1, read_write).ok());
}

// ---- pages ----

TEST(xen_granted_page, the_domain_reaches_it_as_long_as_it_is_there) {
    grant_rig rig;
    grant_reference reference;
    {
        auto made = granted_page::make(rig.table, backend_domain, read_only);
        ASSERT_TRUE(made.ok());
        const granted_page page = made.take();
        reference = page.reference();
        EXPECT_EQ(rig.reach(reference, false), page.data());
        EXPECT_EQ(rig.reach(reference, true), nullptr);
        EXPECT_EQ(page.data()[100], std::byte{0});
    }
    EXPECT_EQ(rig.reach(reference, false), nullptr);
    EXPECT_EQ(pages_held_by_others(), 0u);
}

TEST(xen_granted_page, a_page_that_the_domain_holds_is_kept_until_it_lets_go) {
    grant_rig rig;
    const u64 free_before = memory_now().free_pages;
    grant_reference reference;
    {
        const granted_page page = granted_page::make(rig.table, backend_domain, read_write).take();
        reference = page.reference();
        rig.map(reference);
    }
    EXPECT_EQ(pages_held_by_others(), 1u);
    EXPECT_NE(rig.reach(reference, true), nullptr);
    rig.unmap(reference);
    { const auto other = granted_page::make(rig.table, backend_domain, read_write); }
    EXPECT_EQ(pages_held_by_others(), 0u);
    EXPECT_EQ(rig.table.permitted(), 0u);
    EXPECT_LE(free_before - memory_now().free_pages, 2u) << "beside a frame of the table";
}

TEST(xen_granted_page, moving_keeps_one_owner) {
    grant_rig rig;
    granted_page one = granted_page::make(rig.table, backend_domain, read_write).take();
    granted_page two = granted_page::make(rig.table, backend_domain, read_write).take();
    const grant_reference first = one.reference(), second = two.reference();
    two = std::move(one);
    EXPECT_EQ(two.reference(), first);
    EXPECT_EQ(rig.reach(second, false), nullptr);
    EXPECT_NE(rig.reach(first, false), nullptr);
    EXPECT_EQ(rig.table.permitted(), 1u);
}

TEST(xen_page_pool, pages_are_made_when_needed_and_used_last_in_first_out) {
    grant_rig rig;
    page_pool pool;
    ASSERT_TRUE(pool.open(rig.table, backend_domain, 2, 5).ok());
    EXPECT_EQ(pool.made(), 2u);
    granted_page* pages[2][2];
    pool.take(pages[0]);
    pool.take(pages[1]);
    EXPECT_EQ(pool.made(), 4u);
    EXPECT_EQ((std::set<granted_page*>{pages[0][0], pages[0][1], pages[1][0], pages[1][1]}.size()),
              4u);
    pool.give_back(pages[1]);
    pool.give_back(pages[0]);
    granted_page* one[1];
    pool.take(one);
    EXPECT_EQ(one[0], pages[0][1]);
    pool.give_back(one);
    EXPECT_EQ(pool.made(), 4u);
}

TEST(xen_page_pool, when_memory_is_out_a_pool_has_at_least_what_it_was_promised) {
    grant_rig rig(1);
    page_pool pool;
    const u32 all = grant_table::entries_of_a_frame - grant_table::reserved_entries;
    ASSERT_TRUE(pool.open(rig.table, backend_domain, all - 1, all + 10).ok());
    std::vector<granted_page*> pages(all - 1);
    pool.take(pages);
    granted_page* last[1];
    pool.take(last);
    pool.give_back(last);
    pool.give_back(pages);
    EXPECT_EQ(pool.made(), all);
    page_pool too_much;
    EXPECT_FALSE(too_much.open(rig.table, backend_domain, 1, 1).ok());
}

// ---- rings ----

struct question {
    u64 number, more;
};
struct answer {
    u64 number;
};

class xen_shared_ring : public ::testing::Test {
protected:
    using ring = front_ring<question, answer>;
    xen_shared_ring() { front.init(page); }

    alignas(page_size) std::byte page[page_size];
    ring front;
    back_ring<question, answer> back{page, ring::size};
    answer found{};
};

TEST_F(xen_shared_ring, sizes_are_those_of_the_protocol) {
    EXPECT_EQ(ring::size, 128u);  // of the 252 that would fit
    EXPECT_EQ((front_ring<answer, answer>::size), 256u);
    EXPECT_EQ(front.room(), ring::size);
}

TEST_F(xen_shared_ring, it_goes_round) {
    std::mt19937 random(5);
    u64 asked = 0, answered = 0, seen = 0;
    for (int round = 0; round < 3000; ++round) {
        for (u32 burst = random() % 40; burst != 0 && front.room() != 0; --burst) {
            front.put(question{asked++, 0});
        }
        (void)front.publish();
        for (u32 burst = random() % 40; burst != 0 && back.has_request(); --burst) {
            EXPECT_EQ(back.take().number, answered);
            back.put(answer{answered++});
        }
        (void)back.publish();
        while (random() % 8 != 0 && front.take(found) == ring_state::response) {
            EXPECT_EQ(found.number, seen++);
        }
        ASSERT_EQ(front.room(), ring::size - (asked - seen));
    }
    EXPECT_GT(seen, 10'000u);
}

TEST_F(xen_shared_ring, the_other_side_is_told_when_it_asked) {
    EXPECT_FALSE(front.publish());
    front.put(question{});
    front.put(question{});
    EXPECT_TRUE(front.publish());
    front.put(question{});
    EXPECT_FALSE(front.publish()) << "it has not asked again";
    while (back.has_request()) {
        back.put(answer{back.take().number});
    }
    back.ask_for_event();
    front.put(question{});
    EXPECT_TRUE(front.publish());
}

TEST_F(xen_shared_ring, an_event_comes_for_what_was_asked) {
    for (int i = 0; i < 3; ++i) {
        front.put(question{});
    }
    (void)front.publish();
    back.put(answer{});
    EXPECT_TRUE(back.publish());
    back.put(answer{});
    EXPECT_FALSE(back.publish());
    EXPECT_EQ(front.take(found), ring_state::response);
    EXPECT_EQ(front.take(found), ring_state::response);
    front.ask_for_event();
    EXPECT_FALSE(front.has_response());
    back.put(answer{});
    EXPECT_TRUE(back.publish());
    EXPECT_TRUE(front.has_response());
}

TEST_F(xen_shared_ring, an_index_that_cannot_be_ends_it) {
    front.put(question{});
    front.put(question{});
    (void)front.publish();
    front.put(question{});  // which the other side cannot have seen
    for (const u32 producer : {3u, 4u, 129u, 0x7fff'ffffu, 0xffff'ffffu}) {
        back.word(2) = producer;
        EXPECT_EQ(front.take(found), ring_state::broken) << producer;
    }
    back.word(2) = 2;
    EXPECT_EQ(front.take(found), ring_state::response);
    EXPECT_EQ(front.take(found), ring_state::response);
    EXPECT_EQ(front.take(found), ring_state::none);
    back.word(2) = 1;  // back again
    EXPECT_EQ(front.take(found), ring_state::broken);
}

TEST_F(xen_shared_ring, what_is_written_over_our_own_indices_is_of_no_account) {
    front.put(question{1, 0});
    (void)front.publish();
    back.word(0) = 77;
    front.put(question{2, 0});
    (void)front.publish();
    EXPECT_EQ(back.word(0), 2u);
    EXPECT_EQ(front.room(), ring::size - 2);
}

}  // namespace
}  // namespace kiln::xen
