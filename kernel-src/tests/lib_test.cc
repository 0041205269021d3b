// lib/: containers, formatting, results; and core/'s waiting primitives on real threads.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "core/mutex.hh"
#include "core/wait_queue.hh"
#include "lib/format.hh"
#include "lib/list.hh"
#include "lib/string.hh"
#include "lib/tree.hh"
#include "lib/vector.hh"
#include "tests/host/host.hh"

using namespace kiln;

namespace {

struct number {
    int value = 0;
    tree_node node;
    list_node link;
};
struct by_value {
    bool operator()(const number& a, const number& b) const { return a.value < b.value; }
};
using number_tree = tree<number, &number::node, by_value>;

int check_shape(const tree_node* node) {
    if (node == nullptr) {
        return 0;
    }
    const int left = check_shape(node->left);
    const int right = check_shape(node->right);
    EXPECT_LE(std::abs(left - right), 1);
    EXPECT_EQ(node->height, 1 + std::max(left, right));
    return node->height;
}

TEST(tree, agrees_with_a_sorted_set_under_random_changes) {
    number numbers[200];
    std::multiset<int> expected;
    number_tree tested;
    u32 seed = 1;
    for (int round = 0; round < 20000; ++round) {
        seed = seed * 1664525 + 1013904223;
        number& chosen = numbers[(seed >> 8) % 200];
        if (chosen.node.linked()) {
            tested.remove(chosen);
            expected.erase(expected.find(chosen.value));
        } else {
            chosen.value = static_cast<int>((seed >> 16) % 100);
            tested.insert(chosen);
            expected.insert(chosen.value);
        }
        if (round % 100 == 0) {
            number* at = tested.first();
            for (int value : expected) {
                ASSERT_NE(at, nullptr);
                ASSERT_EQ(at->value, value);
                at = number_tree::next(*at);
            }
            ASSERT_EQ(at, nullptr);
            if (at = tested.first(); at != nullptr) {
                const tree_node* root = &at->node;
                while (root->parent != nullptr) {
                    root = root->parent;
                }
                check_shape(root);
            }
        }
    }
}

TEST(tree, lower_bound_finds_the_first_that_is_not_before) {
    number numbers[3];
    number_tree tested;
    for (int i = 0; i < 3; ++i) {
        numbers[i].value = 10 * (i + 1);
        tested.insert(numbers[i]);
    }
    auto at_least = [&](int wanted) {
        return tested.lower_bound([&](const number& n) { return n.value >= wanted; });
    };
    EXPECT_EQ(at_least(5), &numbers[0]);
    EXPECT_EQ(at_least(20), &numbers[1]);
    EXPECT_EQ(at_least(21), &numbers[2]);
    EXPECT_EQ(at_least(31), nullptr);
}

TEST(list, the_visited_element_may_be_removed) {
    number numbers[4];
    list<number, &number::link> tested;
    for (number& n : numbers) {
        tested.push_back(n);
    }
    int seen = 0;
    for (number& n : tested) {
        ++seen;
        tested.remove(n);
    }
    EXPECT_EQ(seen, 4);
    EXPECT_TRUE(tested.empty());
}

TEST(format, fields) {
    char text[64];
    auto made = [&](auto... args) { return std::string(text, format_to(text, args...)); };
    EXPECT_EQ(made("{} {:x} {:08x}", 42, 255u, 0xbeefu), "42 ff 0000beef");
    EXPECT_EQ(made("{}|{:5}|{:5}|", -7, -7, "ab"), "-7|   -7|ab   |");
    EXPECT_EQ(made("{}", INT64_MIN), "-9223372036854775808");
    EXPECT_EQ(made("{} {}", 'x', true), "x true");
    EXPECT_EQ(made("{"), "{");
    EXPECT_EQ(made("{{\"a\":{}}", 1), "{\"a\":1}");
    EXPECT_EQ(made("{} {}", 1), "1 {}");
}

TEST(format, cuts_what_does_not_fit) {
    char text[4];
    EXPECT_EQ(format_to(text, "{}", "abcdef"), 4u);
}

TEST(string, is_always_terminated) {
    string text;
    EXPECT_STREQ(text.c_str(), "");
    ASSERT_TRUE(text.append("ab").ok());
    ASSERT_TRUE(text.append("c").ok());
    EXPECT_STREQ(text.c_str(), "abc");
    EXPECT_EQ(text.size(), 3u);
    text.truncate(1);
    EXPECT_STREQ(text.c_str(), "a");
}

result<int> half(int value) {
    if (value % 2 != 0) {
        return err::inval;
    }
    return value / 2;
}

result<int> quarter(int value) {
    return half(TRY(half(value)));
}

TEST(result, try_passes_errors_up) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error(), err::inval);
}

TEST(mutex, counts_right_under_contention) {
    mutex lock;
    int count = 0;
    std::thread threads[4];
    for (std::thread& t : threads) {
        t = std::thread([&] {
            for (int i = 0; i < 20000; ++i) {
                lock_guard guard(lock);
                ++count;
            }
        });
    }
    for (std::thread& t : threads) {
        t.join();
    }
    EXPECT_EQ(count, 80000);
}

TEST(rw_mutex, writers_exclude_readers) {
    rw_mutex lock;
    int first = 0;
    int second = 0;
    std::atomic<int> torn{0};
    std::thread threads[4];
    for (int i = 0; i < 4; ++i) {
        threads[i] = std::thread([&, i] {
            for (int round = 0; round < 10000; ++round) {
                if ((round + i) % 4 == 0) {
                    lock_guard guard(lock);
                    ++first;
                    ++second;
                } else {
                    shared_guard guard(lock);
                    torn += first != second;
                }
            }
        });
    }
    for (std::thread& t : threads) {
        t.join();
    }
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(first, 10000);
}

TEST(wait_until, ends_by_deadline_and_by_interruption) {
    wait_queue queue;
    auto outcome = wait_until(queue, [] { return false; }, deadline_after(5 * ns_per_ms));
    EXPECT_EQ(outcome.error(), err::timedout);
    host::interrupt(current_thread());
    outcome = wait_until(queue, [] { return false; });
    EXPECT_EQ(outcome.error(), err::intr);
    host::clear_interrupt();
}

TEST(wait_until, no_wake_up_is_lost) {
    wait_queue queue;
    std::atomic<int> turn{0};
    constexpr int rounds = 5000;
    auto play = [&](int mine) {
        for (int i = 0; i < rounds; ++i) {
            ASSERT_TRUE(wait_until(queue, [&] { return turn.load() % 2 == mine; }).ok());
            ++turn;
            queue.wake_all();
        }
    };
    std::thread other([&] { play(1); });
    play(0);
    other.join();
    EXPECT_EQ(turn, 2 * rounds);
}

}  // namespace
