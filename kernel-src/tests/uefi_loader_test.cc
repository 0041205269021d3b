// What of the UEFI loader needs no firmware: its sums, and the kernel's table of memory.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "boot/memory_map.hh"
#include "boot/uefi/ranges.hh"
#include "boot/uefi/sha256.hh"

namespace {

std::string sum_of(const std::string& text) {
    const boot::digest sum = boot::sha256(reinterpret_cast<const u8*>(text.data()), text.size());
    std::string shown;
    for (const u8 byte : sum.bytes) {
        shown += "0123456789abcdef"[byte >> 4];
        shown += "0123456789abcdef"[byte & 15];
    }
    return shown;
}

// The examples of FIPS 180-4, and lengths around the end of a block (by coreutils' sha256sum).
TEST(uefi_sha256, known_sums) {
    EXPECT_EQ(sum_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sum_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sum_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sum_of(std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    EXPECT_EQ(sum_of(std::string(55, 'x')),
              "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072");
    EXPECT_EQ(sum_of(std::string(56, 'x')),
              "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e");
    EXPECT_EQ(sum_of(std::string(63, 'x')),
              "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2");
    EXPECT_EQ(sum_of(std::string(64, 'x')),
              "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c");
    EXPECT_EQ(sum_of(std::string(65, 'x')),
              "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9");
}

struct part {
    u32 type;
    u64 base;
    u64 pages;
};

std::vector<boot::memory_range> ranges_of(const std::vector<part>& parts, u32 limit = 128) {
    std::vector<boot::memory_range> ranges(limit);
    boot::range_list list(ranges.data(), limit);
    for (const part& each : parts) {
        list.add({each.type, each.base, 0, each.pages, 0});
    }
    ranges.resize(list.count());
    return ranges;
}

std::string shown(const std::vector<boot::memory_range>& ranges) {
    std::string text;
    for (const auto& range : ranges) {
        text += std::to_string(range.type) + ":" + std::to_string(range.base / 4096) + "+" +
                std::to_string(range.size / 4096) + " ";
    }
    return text;
}

TEST(uefi_ranges, neighbours_of_one_type_are_one) {
    using namespace boot::efi;
    EXPECT_EQ(shown(ranges_of({{boot_services_code, 0, 1},
                               {conventional_memory, 0x1000, 159},
                               {loader_data, 0x100000, 16},
                               {acpi_nvs_memory, 0x110000, 4},
                               {boot_services_data, 0x114000, 1}})),
              "1:0+160 1:256+16 4:272+4 1:276+1 ");
}

TEST(uefi_ranges, any_order_is_sorted) {
    using namespace boot::efi;
    EXPECT_EQ(shown(ranges_of({{conventional_memory, 0x300000, 256},
                               {conventional_memory, 0x100000, 256},
                               {acpi_reclaim_memory, 0x500000, 1},
                               {conventional_memory, 0x200000, 256},
                               {conventional_memory, 0x400000, 256}})),
              "1:256+1024 3:1280+1 ");
}

TEST(uefi_ranges, what_firmware_keeps_is_not_usable) {
    using namespace boot::efi;
    constexpr u32 runtime_services_code = 5;
    constexpr u32 runtime_services_data = 6;
    constexpr u32 unknown = 0x80000000;
    EXPECT_EQ(shown(ranges_of({{reserved_memory, 0x1000, 1},
                               {runtime_services_code, 0x2000, 1},
                               {runtime_services_data, 0x3000, 1},
                               {unusable_memory, 0x4000, 1},
                               {persistent_memory, 0x5000, 1},
                               {unknown, 0x6000, 1},
                               {device_memory, 0x7000, 1},
                               {device_ports, 0x8000, 1},
                               {conventional_memory, 0x9000, 0}})),
              "2:1+3 5:4+1 7:5+1 2:6+1 ");
}

TEST(uefi_ranges, more_than_fit_is_told) {
    std::vector<part> parts;
    for (u64 number = 0; number < 9; ++number) {
        parts.push_back({boot::efi::conventional_memory, number * 0x2000, 1});
    }
    std::array<boot::memory_range, 8> ranges{};
    boot::range_list list(ranges.data(), ranges.size());
    for (const part& each : parts) {
        EXPECT_LE(list.count(), ranges.size());
        list.add({each.type, each.base, 0, each.pages, 0});
    }
    EXPECT_EQ(list.count(), ranges.size() + 1);
}

TEST(memory_map, a_place_is_covered_by_several_ranges) {
    const std::vector<boot::memory_range> ranges = {
        {0x3000, 0x1000, 1, 0}, {0x1000, 0x2000, 1, 0}, {0x4000, 0x1000, 2, 0}};
    const auto covered = [&](u64 base, u64 size) {
        return boot::covers(ranges.data(), static_cast<u32>(ranges.size()), base, size);
    };
    EXPECT_TRUE(covered(0x1000, 0x3000));
    EXPECT_TRUE(covered(0x1800, 0x2800));
    EXPECT_FALSE(covered(0x1000, 0x3001));
    EXPECT_FALSE(covered(0x800, 0x1000));
    EXPECT_FALSE(covered(0x4000, 0x10));
}

}  // namespace
