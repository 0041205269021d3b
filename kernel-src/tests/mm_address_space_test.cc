// Areas and faults case by case: where things go, what is counted, what errors are what.
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "mm/address_space.hh"
#include "mm/shared_memory.hh"
#include "tests/host/memory.hh"

namespace kiln {
namespace {

constexpr u64 base = 0x7f12'3456'7000;
constexpr u32 read_write = prot::read | prot::write;

class address_space_test : public testing::Test {
protected:
    address_space_test() : _free_before(memory_now().free_pages), _root(host::make_root_table()) {
        space.emplace();
        space->start(_root);
        space->layout.mmap_base = base;
    }
    ~address_space_test() override {
        space->check();
        space.reset();
        host::free_root_table(_root);
        EXPECT_GE(memory_now().free_pages + 1, _free_before);  // the zero page may stay
    }

    map_request anonymous(u64 length, u32 protection = read_write) {
        map_request request;
        request.length = length;
        request.protection = protection;
        return request;
    }
    u64 map(u64 length, u32 protection = read_write) {
        return space->map(anonymous(length, protection)).take();
    }
    u64 map_at(u64 address, u64 length, u32 protection = read_write, u32 flags = 0) {
        map_request request = anonymous(length, protection);
        request.address = address;
        request.where = placement::fixed;
        request.flags = flags;
        return space->map(std::move(request)).take();
    }
    result<void> write(u64 address, u64 value) {
        return space->write_memory(address, std::as_bytes(std::span(&value, 1)));
    }
    u64 read(u64 address) {
        u64 value = 0;
        EXPECT_TRUE(space->read_memory(address, std::as_writable_bytes(std::span(&value, 1))).ok());
        return value;
    }
    usize areas() { return space->usage().areas; }

    std::optional<address_space> space;

private:
    u64 _free_before;
    u64* _root;
};

TEST_F(address_space_test, places_mappings_downwards_from_the_base_and_joins_them) {
    EXPECT_EQ(map(page_size), base - page_size);
    EXPECT_EQ(map(3 * page_size), base - 4 * page_size);
    EXPECT_EQ(areas(), 1u);
    EXPECT_EQ(map(page_size, prot::read), base - 5 * page_size);
    EXPECT_EQ(areas(), 2u);
}

TEST_F(address_space_test, fills_the_highest_hole_that_fits) {
    const u64 first = map(10 * page_size);
    map(10 * page_size, prot::read);
    ASSERT_TRUE(space->unmap(first + 2 * page_size, 3 * page_size).ok());
    EXPECT_EQ(map(4 * page_size), base - 24 * page_size);
    EXPECT_EQ(map(2 * page_size), first + 3 * page_size);
    EXPECT_EQ(map(page_size), first + 2 * page_size);
    ASSERT_TRUE(space->unmap(base - page_size, page_size).ok());
    EXPECT_EQ(map(page_size), base - page_size);
}

TEST_F(address_space_test, takes_a_free_hint_and_ignores_a_taken_one) {
    map_request request = anonymous(page_size);
    request.address = 0x5555'0000'0123;
    EXPECT_EQ(space->map(std::move(request)).take(), 0x5555'0000'0000u);
    request = anonymous(page_size);
    request.address = 0x5555'0000'0000;
    EXPECT_EQ(space->map(std::move(request)).take(), base - page_size);
}

TEST_F(address_space_test, refuses_what_linux_refuses) {
    const u64 there = map(2 * page_size);
    map_request request = anonymous(page_size);
    request.address = there;
    request.where = placement::fixed_noreplace;
    EXPECT_EQ(space->map(std::move(request)).error(), err::exist);
    request = anonymous(page_size);
    request.address = 0x1000;
    request.where = placement::fixed;
    EXPECT_EQ(space->map(std::move(request)).error(), err::perm);
    request = anonymous(page_size);
    request.address = user_end;
    request.where = placement::fixed;
    EXPECT_EQ(space->map(std::move(request)).error(), err::nomem);
    request = anonymous(page_size);
    request.address = there + 1;
    request.where = placement::fixed;
    EXPECT_EQ(space->map(std::move(request)).error(), err::inval);
    EXPECT_EQ(space->unmap(there + 1, page_size).error(), err::inval);
    EXPECT_EQ(space->unmap(there, 0).error(), err::inval);
    EXPECT_EQ(space->protect(there, 5 * page_size, prot::read).error(), err::nomem);
}

TEST_F(address_space_test, tells_the_kinds_of_faults_apart) {
    const u64 at = map(page_size, prot::read);
    EXPECT_EQ(space->fault(at - page_size, fault_access::read).error(), err::fault);
    EXPECT_EQ(space->fault(at, fault_access::write).error(), err::acces);
    EXPECT_EQ(space->fault(at, fault_access::execute).error(), err::acces);
    EXPECT_TRUE(space->fault(at, fault_access::read).ok());
    map_request request = anonymous(2 * page_size);
    request.object = make_shared_memory(page_size).take();
    request.flags = vma_flag::shared;
    const u64 shared = space->map(std::move(request)).take();
    EXPECT_TRUE(space->fault(shared, fault_access::write).ok());
    EXPECT_EQ(space->fault(shared + page_size, fault_access::read).error(), err::range);
    EXPECT_EQ(space->fault(user_end, fault_access::read).error(), err::fault);
    EXPECT_EQ(space->fault(0, fault_access::read).error(), err::fault);
}

TEST_F(address_space_test, reading_untouched_memory_takes_no_page) {
    const u64 at = map(64 * page_size);
    for (u64 i = 0; i < 64; ++i) {
        EXPECT_EQ(read(at + i * page_size), 0u);
    }
    EXPECT_EQ(space->usage().resident_anonymous, 0u);
    ASSERT_TRUE(write(at, 1).ok());
    EXPECT_EQ(space->usage().resident_anonymous, 1u);
}

TEST_F(address_space_test, pages_survive_losing_and_regaining_access) {
    const u64 at = map(page_size);
    ASSERT_TRUE(write(at, 42).ok());
    ASSERT_TRUE(space->protect(at, page_size, prot::none).ok());
    EXPECT_EQ(space->fault(at, fault_access::read).error(), err::acces);
    ASSERT_TRUE(space->protect(at, page_size, prot::read).ok());
    EXPECT_EQ(read(at), 42u);
    EXPECT_EQ(write(at, 1).error(), err::acces);
}

TEST_F(address_space_test, large_reservations_cost_nothing) {
    const u64 before = memory_now().free_pages;
    const u64 size = u64{16} << 40;
    const u64 at = map(size, prot::none);
    ASSERT_TRUE(space->discard(at, size).ok());
    ASSERT_TRUE(space->protect(at + (u64{8} << 40), page_size, read_write).ok());
    ASSERT_TRUE(write(at + (u64{8} << 40), 1).ok());
    ASSERT_TRUE(space->discard(at, size).ok());
    EXPECT_LE(before - memory_now().free_pages, 8u);
    ASSERT_TRUE(space->unmap(at, size).ok());
    EXPECT_EQ(memory_now().free_pages, before);
}

TEST_F(address_space_test, refuses_more_private_memory_than_there_is) {
    const u64 too_much = (memory_now().total_pages + 1) * page_size;
    EXPECT_EQ(space->map(anonymous(too_much)).error(), err::nomem);
    map_request request = anonymous(too_much);
    request.flags = vma_flag::no_reserve;
    EXPECT_TRUE(space->map(std::move(request)).ok());
    space->limits.address_space = too_much;
    EXPECT_EQ(space->map(anonymous(page_size)).error(), err::nomem);
}

TEST_F(address_space_test, uses_large_pages_and_splits_them) {
    const u64 at = map_at(0x7e00'0000'0000, 8 * MiB);
    ASSERT_TRUE(write(at + 5 * page_size, 7).ok());
    EXPECT_EQ(space->usage().resident_anonymous, 512u);
    ASSERT_TRUE(space->protect(at + 4 * page_size, page_size, prot::read).ok());
    EXPECT_EQ(read(at + 5 * page_size), 7u);
    EXPECT_EQ(write(at + 4 * page_size, 1).error(), err::acces);
    ASSERT_TRUE(space->discard(at + 6 * page_size, 506 * page_size).ok());
    EXPECT_EQ(space->usage().resident_anonymous, 6u);
    ASSERT_TRUE(write(at + 4 * MiB, 9).ok());
    ASSERT_TRUE(space->change_flags(at, 8 * MiB, vma_flag::no_huge, 0).ok());
    ASSERT_TRUE(write(at + 2 * MiB, 9).ok());
    EXPECT_EQ(space->usage().resident_anonymous, 6u + 512 + 1);
}

TEST_F(address_space_test, grows_a_stack_down_to_its_limit_and_gap) {
    const u64 top = 0x7ffd'0000'0000;
    map_at(top - 4 * page_size, 4 * page_size, read_write, vma_flag::grows_down);
    EXPECT_TRUE(space->fault(top - 100 * page_size, fault_access::write).ok());
    EXPECT_EQ(space->usage().stack, 100u);
    EXPECT_EQ(space->fault(top - 8 * MiB - page_size, fault_access::write).error(), err::fault);
    EXPECT_TRUE(space->fault(top - 8 * MiB, fault_access::write).ok());
    // A neighbour may come no closer than the gap.
    map_at(top - 8 * MiB - 300 * page_size, page_size);
    space->limits.stack = 64 * MiB;
    EXPECT_TRUE(space->fault(top - 8 * MiB - 40 * page_size, fault_access::write).ok());
    EXPECT_EQ(space->fault(top - 8 * MiB - 50 * page_size, fault_access::write).error(), err::fault);
}

TEST_F(address_space_test, moves_the_break) {
    space->layout.brk_start = space->layout.brk = 0x5555'0000'0800;
    EXPECT_EQ(space->set_break(0), 0x5555'0000'0800u);
    EXPECT_EQ(space->set_break(0x5555'0000'0900), 0x5555'0000'0900u);
    EXPECT_EQ(areas(), 0u);
    EXPECT_EQ(space->set_break(0x5555'0002'0000), 0x5555'0002'0000u);
    ASSERT_TRUE(write(0x5555'0001'0000, 3).ok());
    EXPECT_EQ(space->set_break(0x5555'0000'4000), 0x5555'0000'4000u);
    EXPECT_EQ(space->fault(0x5555'0001'0000, fault_access::read).error(), err::fault);
    EXPECT_EQ(space->set_break(0x5555'0002'0000), 0x5555'0002'0000u);
    EXPECT_EQ(read(0x5555'0001'0000), 0u);
    map_at(0x5555'0003'0000, page_size);
    EXPECT_EQ(space->set_break(0x5555'0004'0000), 0x5555'0002'0000u);
    EXPECT_EQ(space->set_break(0x5555'0000'0000), 0x5555'0002'0000u);
}

TEST_F(address_space_test, remaps_as_linux) {
    constexpr u32 may_move = 1, fixed = 2, dont_unmap = 4;
    const u64 at = map_at(0x7e00'0000'0000, 4 * page_size);
    ASSERT_TRUE(write(at + 3 * page_size, 33).ok());
    EXPECT_EQ(space->remap(at, 4 * page_size, 8 * page_size, 0, 0).take(), at);
    EXPECT_EQ(space->remap(at, 8 * page_size, 4 * page_size, 0, 0).take(), at);
    map_at(at + 4 * page_size, page_size, prot::read);
    EXPECT_EQ(space->remap(at, 4 * page_size, 8 * page_size, 0, 0).error(), err::nomem);
    const u64 moved = space->remap(at, 4 * page_size, 8 * page_size, may_move, 0).take();
    EXPECT_EQ(moved, base - 8 * page_size);
    EXPECT_EQ(read(moved + 3 * page_size), 33u);
    EXPECT_FALSE(space->is_mapped(at, 1));
    EXPECT_EQ(space->remap(moved, page_size, page_size, fixed, at).error(), err::inval);
    EXPECT_EQ(space->remap(moved, 16 * page_size, 17 * page_size, may_move, 0).error(), err::fault);
    EXPECT_EQ(space->remap(at - page_size, page_size, 2 * page_size, may_move, 0).error(), err::fault);
    EXPECT_EQ(space->remap(moved, 0, page_size, may_move, 0).error(), err::inval);
    const u64 kept = space->remap(moved, 8 * page_size, 8 * page_size, may_move | dont_unmap, 0).take();
    EXPECT_EQ(read(kept + 3 * page_size), 33u);
    EXPECT_EQ(read(moved + 3 * page_size), 0u);
}

TEST_F(address_space_test, shared_memory_is_one_for_all_its_mappings) {
    constexpr u32 may_move = 1;
    map_request request = anonymous(4 * page_size);
    request.object = make_shared_memory(4 * page_size).take();
    request.flags = vma_flag::shared;
    const u64 at = space->map(std::move(request)).take();
    ASSERT_TRUE(write(at + page_size, 5).ok());
    const u64 again = space->remap(at, 0, 4 * page_size, may_move, 0).take();
    EXPECT_NE(again, at);
    EXPECT_EQ(read(again + page_size), 5u);
    const auto one = space->locate(at + page_size + 8).take();
    const auto two = space->locate(again + page_size + 8).take();
    EXPECT_TRUE(one.object == two.object && one.offset == two.offset);
    ASSERT_TRUE(space->discard(at, 4 * page_size).ok());
    EXPECT_EQ(read(at + page_size), 5u);
}

TEST_F(address_space_test, patching_code_makes_a_private_copy) {
    map_request request = anonymous(page_size, prot::read | prot::exec);
    auto object = make_shared_memory(page_size).take();
    request.object = object;
    const u64 at = space->map(std::move(request)).take();
    const u64 patch = 0xcccc;
    ASSERT_TRUE(space->write_memory(at, std::as_bytes(std::span(&patch, 1)), true).ok());
    EXPECT_EQ(read(at), patch);
    EXPECT_EQ(write(at, 1).error(), err::acces);
    page& original = *object->get_page(0, false).take();
    EXPECT_EQ(*static_cast<u64*>(page_data(original)), 0u);
    drop_page_reference(original);
}

TEST_F(address_space_test, truncation_takes_pages_away) {
    map_request request = anonymous(4 * page_size);
    auto object = make_shared_memory(4 * page_size).take();
    request.object = object;
    request.flags = vma_flag::shared;
    const u64 at = space->map(std::move(request)).take();
    ASSERT_TRUE(space->populate(at, 4 * page_size, true).ok());
    EXPECT_EQ(space->usage().resident_file, 4u);
    space->forget_object_pages(*object, 1, ~u64{0});
    EXPECT_EQ(space->usage().resident_file, 1u);
    EXPECT_EQ(object->mappings.load(), 1u);
    ASSERT_TRUE(space->unmap(at, 4 * page_size).ok());
    EXPECT_EQ(object->mappings.load(), 0u);
}

TEST_F(address_space_test, locked_memory_is_resident_and_is_kept) {
    const u64 at = map(8 * page_size);
    ASSERT_TRUE(space->lock_range(at + 100, page_size, false).ok());
    EXPECT_EQ(space->usage().locked, 2u);
    EXPECT_EQ(space->usage().resident_anonymous, 2u);
    EXPECT_EQ(space->discard(at, 8 * page_size).error(), err::inval);
    ASSERT_TRUE(space->unlock_range(at, 8 * page_size).ok());
    EXPECT_EQ(areas(), 1u);
    EXPECT_EQ(space->lock_range(at, 9 * page_size, false).error(), err::nomem);
    u8 pages[8];
    ASSERT_TRUE(space->residency(at, pages).ok());
    EXPECT_EQ(pages[0], 1);
}

TEST_F(address_space_test, gives_clean_file_pages_back_and_keeps_the_rest) {
    map_request request = anonymous(8 * page_size, prot::read | prot::write);
    request.object = make_shared_memory(8 * page_size).take();
    auto object = request.object;
    const u64 at = space->map(std::move(request)).take();
    ASSERT_TRUE(space->populate(at, 8 * page_size, false, true).ok());
    ASSERT_TRUE(write(at, 1).ok());
    EXPECT_EQ(space->usage().resident_file, 7u);
    // The first round finds all of them used; the next ones unmap.
    EXPECT_EQ(space->unmap_clean_pages(3), 3u);
    EXPECT_EQ(space->usage().resident_file, 4u);
    EXPECT_EQ(space->unmap_clean_pages(100), 4u);
    EXPECT_EQ(space->unmap_clean_pages(100), 0u);
    EXPECT_EQ(read(at), 1u);
    ASSERT_TRUE(space->lock_range(at + page_size, page_size, false).ok());
    EXPECT_EQ(space->unmap_clean_pages(100), 0u);
}

// Threads that fault pages in while others take them away and move them: whatever the outcome of each
// access, nothing may be lost, freed twice or leaked.
TEST_F(address_space_test, survives_faults_racing_with_changes) {
    const u64 at = map_at(0x7e00'0000'0000, 4 * MiB);
    std::atomic<bool> stop{false};
    std::atomic<u64> faults{0};
    auto toucher = [&](u64 seed) {
        for (u64 i = seed; !stop; i = i * 6364136223846793005u + 1442695040888963407u) {
            const u64 address = at + (i >> 33) % 1024 * page_size;
            const auto access = (i & 1) != 0 ? fault_access::write : fault_access::read;
            faults += space->fault(address, access).ok() ? 1u : 0u;
        }
    };
    std::thread one(toucher, 1), two(toucher, 2);
    for (u64 i = 0; i < 2000 || faults < 10000; ++i) {
        const u64 start = at + i * 37 % 900 * page_size;
        ASSERT_TRUE(space->discard(start, 50 * page_size).ok());
        ASSERT_TRUE(space->protect(start, 20 * page_size, i % 2 != 0 ? prot::read : read_write).ok());
        if (i % 16 == 0) {
            ASSERT_TRUE(space->unmap(start, 16 * page_size).ok());
            map_at(start, 16 * page_size);
        }
        if (i % 128 == 0) {
            map_at(at, 4 * MiB);
        }
    }
    stop = true;
    one.join();
    two.join();
    EXPECT_GE(faults, 10000u);
}

}  // namespace
}  // namespace kiln
