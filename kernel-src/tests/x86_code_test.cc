// Instruction lengths, and `hlt` told from the end of another instruction.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "lib/x86_code.hh"

namespace kiln {
namespace {

std::vector<std::byte> code_of(const char* hex) {
    std::vector<std::byte> bytes;
    for (; *hex != '\0'; ++hex) {
        if (*hex != ' ') {
            bytes.push_back(static_cast<std::byte>(std::stoul(std::string(hex, 2), nullptr, 16)));
            ++hex;
        }
    }
    return bytes;
}

usize length_of(const char* hex) {
    return x86_instruction_length(code_of(hex));
}

TEST(x86_code_test, lengths) {
    const char* const whole[] = {
        "f4", "90", "c3", "55", "0f 05", "f3 0f 1e fa", "66 66 2e 0f 1f 84 00 00 00 00 00",
        "48 89 e5", "8b 45 f4", "8b 04 24", "8b 04 25 78 56 34 12", "8b 05 78 56 34 12",
        "48 8b 84 c8 78 56 34 12", "8b 44 8d f4", "48 b8 88 77 66 55 44 33 22 11", "b8 44 33 22 11",
        "66 b8 22 11", "48 c7 c0 01 00 00 00", "c6 45 f4 01", "66 c7 45 f4 22 11", "83 c4 f4",
        "81 c4 f4 00 00 00", "eb f4", "75 f4", "e8 00 00 00 00", "0f 84 00 00 00 00",
        "f6 c1 01", "f7 c1 01 00 00 00", "66 f7 c1 01 00", "f7 d9", "f6 d9", "c2 08 00",
        "c8 10 00 00", "a0 88 77 66 55 44 33 22 11", "67 a0 44 33 22 11", "0f ba e0 05",
        "66 0f 3a 0f c1 08", "66 0f 38 00 c1", "f2 48 0f 38 f1 c0", "c5 f8 77", "c5 fd 6f 45 f4",
        "c4 e3 7d 19 c1 01", "c4 e2 7d 58 05 01 02 03 04", "62 f1 7c 48 10 45 f4",
        "62 f3 fd 48 39 c1 01", "d9 7d f4", "f0 48 0f b1 0f", "0f 0b", "cd 80", "0f a2", "41 57",
        "ff 25 01 02 03 04", "ff d0", "c7 f8 01 02 03 04"};
    for (const char* each : whole) {
        EXPECT_EQ(length_of(each), code_of(each).size()) << each;
    }
}

TEST(x86_code_test, what_is_no_instruction) {
    for (const char* each : {"06", "60", "9a 00", "d4 0a", "ea", "fe d0", "ff f8",
                             "c7 c8 00 00 00 00", "0f 04", "0f 3b", "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90"}) {
        EXPECT_EQ(length_of(each), 0u) << each;
    }
}

TEST(x86_code_test, what_reaches_beyond_the_end) {
    const std::vector<std::byte> whole = code_of("48 8b 84 c8 78 56 34 12");
    for (usize size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(x86_instruction_length(std::span(whole).first(size)), 0u) << size;
    }
}

TEST(x86_code_test, halt_behind_code_that_cannot_end_with_it) {
    EXPECT_TRUE(ends_with_halt(code_of("f4")));
    EXPECT_TRUE(ends_with_halt(code_of("c3 f4")));
    EXPECT_TRUE(ends_with_halt(code_of("cc cc cc cc f4")));
}

TEST(x86_code_test, other_instructions_that_end_with_the_byte) {
    for (const char* each : {"8b 45 f4", "eb f4", "83 c4 f4", "b8 00 00 00 f4", "00 f4"}) {
        EXPECT_FALSE(ends_with_halt(code_of(each))) << each;
    }
}

bool jumps(const char* hex, u64 target, u64 flags) {
    return may_branch_to(code_of(hex), 0x1000, target, flags);
}

TEST(x86_code_test, branches_past_a_halt) {
    const u64 zero = 1 << 6;
    EXPECT_TRUE(jumps("74 01 f4", 0x1003, zero));  // je over it
    EXPECT_FALSE(jumps("74 01 f4", 0x1003, 0));
    EXPECT_FALSE(jumps("75 01 f4", 0x1003, zero));
    EXPECT_TRUE(jumps("75 01 f4", 0x1003, 0));
    EXPECT_TRUE(jumps("0f 84 01 00 00 00 f4", 0x1007, zero));
    EXPECT_FALSE(jumps("0f 84 01 00 00 00 f4", 0x1007, 0));
    EXPECT_TRUE(jumps("eb 01 f4", 0x1003, 0));
    EXPECT_TRUE(jumps("90 90 90 eb fb", 0x1000, 0));
    EXPECT_TRUE(jumps("e8 fb ff ff ff", 0x1000, 0));
    EXPECT_FALSE(jumps("48 83 ec 08 f4", 0x1005, 0));
    EXPECT_FALSE(jumps("eb", 0x1002, 0));
    EXPECT_FALSE(jumps("0f 84 01 00", 0x1007, zero));
}

TEST(x86_code_test, conditions) {
    const u64 carry = 1, parity = 1 << 2, zero = 1 << 6, sign = 1 << 7, overflow = 1 << 11;
    const u64 flags[8] = {overflow, carry, zero, carry, sign, parity, sign, zero};
    for (u32 pair = 0; pair < 8; ++pair) {
        char hold[16];
        snprintf(hold, sizeof(hold), "%02x 01 f4", 0x70 + 2 * pair);
        char fail[16];
        snprintf(fail, sizeof(fail), "%02x 01 f4", 0x71 + 2 * pair);
        EXPECT_TRUE(jumps(hold, 0x1003, flags[pair])) << pair;
        EXPECT_FALSE(jumps(fail, 0x1003, flags[pair])) << pair;
        EXPECT_FALSE(jumps(hold, 0x1003, 0)) << pair;
        EXPECT_TRUE(jumps(fail, 0x1003, 0)) << pair;
    }
    EXPECT_FALSE(jumps("7c 01 f4", 0x1003, sign | overflow));
}

// Every instruction of the C library that ends with the byte, as objdump reads them.
TEST(x86_code_test, halts_of_the_c_library) {
    FILE* listing = popen("objdump -d -w --insn-width=16 /lib/x86_64-linux-gnu/libc.so.6", "r");
    ASSERT_NE(listing, nullptr);
    std::vector<std::byte> text;
    char line[512];
    u32 halts = 0, others = 0, wrong_lengths = 0;
    while (fgets(line, sizeof(line), listing) != nullptr) {
        char* hex = strchr(line, '\t');
        char* words = hex == nullptr ? nullptr : strchr(hex + 1, '\t');
        if (words == nullptr) {
            continue;
        }
        *words = '\0';
        const std::vector<std::byte> bytes = code_of(hex + 1);
        text.insert(text.end(), bytes.begin(), bytes.end());
        // objdump takes a wait and the x87 instruction behind it for one.
        const bool wait = bytes[0] == std::byte{0x9b};
        wrong_lengths += !wait && x86_instruction_length(bytes) != bytes.size() ? 1 : 0;
        if (bytes.back() == std::byte{0xf4} && text.size() >= halt_window) {
            const bool is_halt = bytes.size() == 1;
            EXPECT_EQ(ends_with_halt(std::span(text).last(halt_window)), is_halt) << line;
            ++(is_halt ? halts : others);
        }
    }
    pclose(listing);
    EXPECT_EQ(wrong_lengths, 0u);
    EXPECT_GT(halts, 1u);
    EXPECT_GT(others, 100u);
}

}  // namespace
}  // namespace kiln
