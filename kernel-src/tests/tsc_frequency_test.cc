// What the CPUID of hypervisors and of bare CPUs tells of the TSC.
#include "lib/tsc_frequency.hh"

#include <gtest/gtest.h>

#include <map>

namespace kiln {
namespace {

struct leaf {
    u32 eax, ebx, ecx;
};

u64 frequency(const std::map<u32, leaf>& leaves) {
    return tsc_frequency_by_cpuid([&](u32 number) {
        const auto found = leaves.find(number);
        return found == leaves.end() ? leaf{} : found->second;
    });
}

constexpr leaf a_guest{0, 0, 1u << 31};

TEST(tsc_frequency, by_vmwares_leaf) {
    EXPECT_EQ(frequency({{0, {0x16, 0, 0}},
                         {1, a_guest},
                         {0x15, {2, 200, 24'000'000}},
                         {0x4000'0000, {0x4000'0010, 0, 0}},
                         {0x4000'0010, {2'893'200, 66'000, 0}}}),
              2'893'200'000u);
}

TEST(tsc_frequency, of_more_than_four_gigahertz) {
    EXPECT_EQ(frequency({{1, a_guest},
                         {0x4000'0000, {0x4000'0010, 0, 0}},
                         {0x4000'0010, {5'700'000, 0, 0}}}),
              5'700'000'000u);
}

TEST(tsc_frequency, a_hypervisor_that_does_not_know_leaves_it_to_the_cpu) {
    const leaf crystal{2, 200, 24'000'000};
    EXPECT_EQ(frequency({{0, {0x16, 0, 0}},
                         {1, a_guest},
                         {0x15, crystal},
                         {0x4000'0000, {0x4000'0001, 0, 0}},
                         {0x4000'0010, {1, 0, 0}}}),
              2'400'000'000u)
        << "its leaves end before that one";
    EXPECT_EQ(frequency({{0, {0x16, 0, 0}},
                         {1, a_guest},
                         {0x15, crystal},
                         {0x4000'0000, {0x4000'0010, 0, 0}}}),
              2'400'000'000u)
        << "the leaf holds nothing";
    EXPECT_EQ(frequency({{0, {0x16, 0, 0}},
                         {1, a_guest},
                         {0x15, crystal},
                         {0x4000'0000, {0xffff'ffff, 0, 0}},
                         {0x4000'0010, {7, 0, 0}}}),
              2'400'000'000u)
        << "no hypervisor has so many leaves";
}

TEST(tsc_frequency, on_bare_metal_nobody_asks_for_a_hypervisors_leaf) {
    EXPECT_EQ(frequency({{0, {0x16, 0, 0}},
                         {0x15, {2, 200, 24'000'000}},
                         {0x4000'0000, {0x4000'0010, 0, 0}},
                         {0x4000'0010, {7, 0, 0}}}),
              2'400'000'000u);
}

TEST(tsc_frequency, of_which_nobody_tells) {
    EXPECT_EQ(frequency({}), 0u);
    EXPECT_EQ(frequency({{0, {0x14, 0, 0}}, {0x15, {2, 200, 24'000'000}}}), 0u);
    EXPECT_EQ(frequency({{0, {0x16, 0, 0}}, {0x15, {2, 200, 0}}}), 0u) << "no crystal";
    EXPECT_EQ(frequency({{0, {0x16, 0, 0}}, {0x15, {0, 200, 24'000'000}}}), 0u) << "no ratio";
}

}  // namespace
}  // namespace kiln
