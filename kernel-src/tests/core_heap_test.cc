// core/: the heap: sizes, alignment, objects that do not overlap, pages that come back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "core/heap.hh"
#include "core/page.hh"
#include "tests/host/memory.hh"

using namespace kiln;

namespace {

class heap : public testing::Test {
protected:
    static void SetUpTestSuite() { heap_init(); }
};

bool is_filled(const unsigned char* bytes, usize size, unsigned char value) {
    return std::all_of(bytes, bytes + size, [value](unsigned char byte) { return byte == value; });
}

TEST_F(heap, objects_of_every_size_are_aligned_and_their_own) {
    struct object {
        unsigned char* bytes;
        usize size;
    };
    std::vector<object> objects;
    for (usize size = 1; size < 20000; size += 1 + size / 7) {
        auto* bytes = static_cast<unsigned char*>(heap_allocate(size));
        ASSERT_NE(bytes, nullptr);
        EXPECT_EQ(reinterpret_cast<u64>(bytes) % 16, 0u) << "size " << size;
        std::memset(bytes, static_cast<int>(objects.size() & 0xff), size);
        objects.push_back({bytes, size});
    }
    for (usize i = 0; i < objects.size(); ++i) {
        EXPECT_TRUE(is_filled(objects[i].bytes, objects[i].size, static_cast<unsigned char>(i)));
        heap_release(objects[i].bytes);
    }
}

TEST_F(heap, alignments_up_to_a_page_are_kept) {
    for (usize alignment = 16; alignment <= page_size; alignment *= 2) {
        void* object = heap_allocate(24, alignment);
        ASSERT_NE(object, nullptr);
        EXPECT_EQ(reinterpret_cast<u64>(object) % alignment, 0u);
        heap_release(object);
    }
}

TEST_F(heap, releasing_nothing_is_allowed) {
    heap_release(nullptr);
}

TEST_F(heap, an_object_is_kept_whole_under_random_changes) {
    std::map<unsigned char*, std::pair<usize, unsigned char>> held;
    u32 seed = 3;
    auto random = [&seed](u32 limit) {
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % limit;
    };
    for (int round = 0; round < 50000; ++round) {
        if (held.size() > 500 || (!held.empty() && random(2) == 0)) {
            auto chosen = std::next(held.begin(), random(static_cast<u32>(held.size())));
            ASSERT_TRUE(is_filled(chosen->first, chosen->second.first, chosen->second.second));
            heap_release(chosen->first);
            held.erase(chosen);
            continue;
        }
        const usize size = 1 + random(random(10) == 0 ? 10000 : 600);
        const auto value = static_cast<unsigned char>(random(256));
        auto* bytes = static_cast<unsigned char*>(heap_allocate(size));
        ASSERT_NE(bytes, nullptr);
        std::memset(bytes, value, size);
        held[bytes] = {size, value};
    }
    for (auto& [bytes, what] : held) {
        EXPECT_TRUE(is_filled(bytes, what.first, what.second));
        heap_release(bytes);
    }
}

TEST_F(heap, pages_come_back_but_for_a_few_objects_kept_at_hand) {
    const u64 before = memory_now().free_pages;
    std::vector<void*> objects;
    for (int i = 0; i < 10000; ++i) {
        objects.push_back(heap_allocate(128));
    }
    EXPECT_LE(memory_now().free_pages, before - 10000 * 128 / page_size + 32);
    for (void* object : objects) {
        heap_release(object);
    }
    // A magazine holds 32 objects, each of which may keep a page.
    EXPECT_GE(memory_now().free_pages + 32, before);
}

TEST_F(heap, memory_that_is_out_is_null_and_comes_back) {
    std::vector<void*> objects;
    while (void* object = heap_allocate(2 * MiB)) {
        objects.push_back(object);
        ASSERT_LE(objects.size(), host::memory_size / (2 * MiB));
    }
    EXPECT_FALSE(objects.empty());
    for (void* object : objects) {
        heap_release(object);
    }
    void* again = heap_allocate(2 * MiB);
    EXPECT_NE(again, nullptr);
    heap_release(again);
}

}  // namespace
