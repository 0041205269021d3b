// Names for addresses, looked up in the test's own ELF file, and damaged files.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "linux/elf_symbols.hh"

extern "C" [[gnu::noinline]] int a_function_to_be_found(int x) {
    return x * 3 + 1;
}

namespace kiln {
namespace {

class bytes_source : public elf_source {
public:
    explicit bytes_source(std::vector<char> bytes) : data(std::move(bytes)) {}
    usize read(u64 offset, std::span<std::byte> to) override {
        if (offset >= data.size()) {
            return 0;
        }
        const usize count = std::min<usize>(to.size(), data.size() - offset);
        std::memcpy(to.data(), data.data() + offset, count);
        return count;
    }
    std::vector<char> data;
};

bytes_source own_file() {
    std::ifstream in("/proc/self/exe", std::ios::binary);
    return bytes_source({std::istreambuf_iterator<char>(in), {}});
}

// Where in the file the code is, from the program headers that the loader shows.
u64 own_offset(u64 address) {
    struct search {
        u64 address, offset;
    } wanted{address, 0};
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* argument) {
            auto& looked_for = *static_cast<search*>(argument);
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& segment = info->dlpi_phdr[i];
                const u64 start = info->dlpi_addr + segment.p_vaddr;
                if (segment.p_type == PT_LOAD && looked_for.address - start < segment.p_filesz) {
                    looked_for.offset = segment.p_offset + (looked_for.address - start);
                    return 1;
                }
            }
            return 0;
        },
        &wanted);
    return wanted.offset;
}

TEST(elf_symbols, finds_a_function_and_the_offset_in_it) {
    bytes_source file = own_file();
    const u64 offset = own_offset(reinterpret_cast<u64>(&a_function_to_be_found)) + 2;
    elf_symbol found;
    ASSERT_TRUE(find_elf_symbol(file, offset, found));
    EXPECT_EQ(found.view(), "a_function_to_be_found");
    EXPECT_EQ(found.offset, 2u);
}

TEST(elf_symbols, knows_nothing_of_places_outside) {
    bytes_source file = own_file();
    elf_symbol found;
    EXPECT_FALSE(find_elf_symbol(file, file.data.size() + 4096, found));
    bytes_source empty({});
    EXPECT_FALSE(find_elf_symbol(empty, 0, found));
}

TEST(elf_symbols, survives_truncation_and_damage) {
    const bytes_source whole = own_file();
    const u64 offset = own_offset(reinterpret_cast<u64>(&a_function_to_be_found));
    for (usize size : {1u, 63u, 64u, 100u, 4096u, 100'000u}) {
        bytes_source cut({whole.data.begin(), whole.data.begin() + std::min<usize>(size, whole.data.size())});
        elf_symbol found;
        EXPECT_FALSE(find_elf_symbol(cut, offset, found)) << size;
    }
    // Every byte of the header, turned over: an answer or none, but no fault.
    for (usize at = 0; at < 64; ++at) {
        bytes_source damaged = whole;
        damaged.data[at] = static_cast<char>(~damaged.data[at]);
        elf_symbol found;
        find_elf_symbol(damaged, offset, found);
        EXPECT_LT(found.view().size(), sizeof(found.name));
    }
}

}  // namespace
}  // namespace kiln
