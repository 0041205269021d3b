// lib/unwind and lib/elf_image on this very process: the C library's own backtrace is the oracle.
#include "lib/unwind.hh"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <link.h>
#include <signal.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "lib/elf_image.hh"

using namespace kiln;

namespace {

// Reads by a system call, so that a bad address is an answer and no fault.
class own_memory final : public memory_view {
public:
    bool read(u64 address, void* to, usize size) const override {
        iovec local{to, size};
        iovec remote{reinterpret_cast<void*>(address), size};
        return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
    }
};

class file_view final : public memory_view {
public:
    explicit file_view(const char* path) : _descriptor(open(path, O_RDONLY)) {}
    ~file_view() { close(_descriptor); }
    bool read(u64 offset, void* to, usize size) const override {
        return pread(_descriptor, to, size, static_cast<off_t>(offset)) ==
               static_cast<ssize_t>(size);
    }

private:
    int _descriptor;
};

elf_image image_of(u64 address) {
    Dl_info info{};
    elf_image image;
    if (dladdr(reinterpret_cast<void*>(address), &info) != 0) {
        EXPECT_TRUE(find_elf_image(own_memory(), reinterpret_cast<u64>(info.dli_fbase), image));
    }
    return image;
}

unwind_registers registers_of(const ucontext_t& context) {
    constexpr int order[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                             REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                             REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    unwind_registers made;
    for (u32 number = 0; number < unwind_registers::count; ++number) {
        made.value[number] = static_cast<u64>(context.uc_mcontext.gregs[order[number]]);
    }
    return made;
}

std::vector<u64> callers(unwind_registers registers, bool exact) {
    std::vector<u64> found;
    const own_memory memory;
    while (found.size() < 200) {
        const elf_image image = image_of(registers.value[unwind_registers::pc]);
        if (unwind_step(memory, image, registers, exact) != unwind_outcome::stepped) {
            break;
        }
        found.push_back(registers.value[unwind_registers::pc]);
    }
    return found;
}

std::vector<u64> oracle() {
    void* addresses[200];
    const int count = backtrace(addresses, 200);
    std::vector<u64> found;
    for (int index = 0; index < count; ++index) {
        found.push_back(reinterpret_cast<u64>(addresses[index]));
    }
    return found;
}

// The sanitizer puts functions of its own before those of the library.
u64 in_c_library(const char* name) {
    void* library = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    EXPECT_NE(library, nullptr);
    return reinterpret_cast<u64>(dlsym(library, name));
}

struct two_views {
    std::vector<u64> ours;
    std::vector<u64> theirs;
};

[[gnu::noinline]] two_views innermost() {
    ucontext_t context;
    getcontext(&context);
    two_views made{callers(registers_of(context), true), oracle()};
    // Theirs begins with where they are in oracle() and here; ours with the caller of this
    // function.
    made.theirs.erase(made.theirs.begin(), made.theirs.begin() + 2);
    return made;
}

// A frame of a size that only the tables know.
[[gnu::noinline]] two_views nested(int depth) {
    volatile char room[1000];
    room[static_cast<usize>(depth)] = 1;
    if (depth == 0) {
        return innermost();
    }
    two_views made = nested(depth - 1);
    EXPECT_EQ(room[static_cast<usize>(depth)], 1);
    return made;
}

TEST(unwind, agrees_with_the_c_library) {
    const two_views made = nested(20);
    EXPECT_GT(made.ours.size(), 25u);
    EXPECT_EQ(made.ours, made.theirs);
}

int compare_by_unwinding(const void*, const void*, void* result) {
    *static_cast<two_views*>(result) = innermost();
    return 0;
}

TEST(unwind, goes_through_a_library_that_has_no_frame_pointers) {
    two_views made;
    int numbers[2] = {2, 1};
    qsort_r(numbers, 2, sizeof(int), compare_by_unwinding, &made);
    EXPECT_GT(made.ours.size(), 5u);
    EXPECT_EQ(made.ours, made.theirs);
}

two_views in_handler;
u64 interrupted_at;
std::vector<u64> from_interrupted;

void handle(int, siginfo_t*, void* context) {
    const unwind_registers registers = registers_of(*static_cast<ucontext_t*>(context));
    interrupted_at = registers.value[unwind_registers::pc];
    from_interrupted = callers(registers, true);
    in_handler = innermost();
}

TEST(unwind, goes_through_a_signal_frame) {
    struct sigaction action {};
    struct sigaction old {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, &old);
    raise(SIGUSR1);
    sigaction(SIGUSR1, &old, nullptr);
    EXPECT_EQ(in_handler.ours, in_handler.theirs);
    // From the interrupted registers alone, the part beyond the signal's frame comes out again.
    const auto& all = in_handler.ours;
    const auto frame = std::find(all.begin(), all.end(), interrupted_at);
    ASSERT_NE(frame, all.end());
    EXPECT_GT(from_interrupted.size(), 3u);
    EXPECT_EQ(from_interrupted, std::vector<u64>(frame + 1, all.end()));
}

class with_zero_stack final : public memory_view {
public:
    bool read(u64 address, void* to, usize size) const override {
        if (address >= stack && address < stack + 0x100000) {
            memset(to, 0, size);
            return true;
        }
        return _own.read(address, to, size);
    }
    static constexpr u64 stack = 0x10000;

private:
    own_memory _own;
};

TEST(unwind, every_instruction_of_the_c_library_s_tables_is_understood) {
    // A step from the start of each of its functions, with a stack of zeros: the rules must be
    // found and run; only reading the return address from the stack may be what ends it.
    const elf_image image = image_of(in_c_library("qsort_r"));
    ASSERT_NE(image.unwind_table, 0u);
    u32 header[3];
    ASSERT_TRUE(own_memory().load(image.unwind_table, header));
    const u32 count = header[2];
    ASSERT_GT(count, 1000u);
    u32 unknown = 0;
    for (u32 index = 0; index < count; ++index) {
        i32 offset = 0;
        ASSERT_TRUE(own_memory().load(image.unwind_table + 12 + u64{index} * 8, offset));
        unwind_registers registers;
        for (u64& value : registers.value) {
            value = with_zero_stack::stack + 0x8000;
        }
        registers.value[unwind_registers::pc] = image.unwind_table + static_cast<u64>(i64{offset});
        bool exact = true;
        unknown +=
            unwind_step(with_zero_stack(), image, registers, exact) == unwind_outcome::unknown;
    }
    EXPECT_EQ(unknown, 0u) << "of " << count;
}

TEST(unwind, no_table_is_no_answer) {
    unwind_registers registers;
    bool exact = true;
    EXPECT_EQ(unwind_step(own_memory(), elf_image{}, registers, exact), unwind_outcome::unknown);
    elf_image nowhere;
    nowhere.unwind_table = 0x1000;
    EXPECT_EQ(unwind_step(own_memory(), nowhere, registers, exact), unwind_outcome::unknown);
}

extern "C" [[gnu::noinline, gnu::used]] int kiln_test_landmark(int value) { return value * 3 + 1; }

std::string symbol_at(const char* path, u64 address) {
    char buffer[64];
    elf_symbol_place found;
    if (!find_elf_symbol(file_view(path), address, buffer, found)) {
        return "?";
    }
    return std::string(found.name) + "+" + std::to_string(found.offset);
}

TEST(elf_image, names_a_function_of_this_program) {
    const u64 address = reinterpret_cast<u64>(&kiln_test_landmark);
    const u64 bias = image_of(address).bias;
    EXPECT_EQ(symbol_at("/proc/self/exe", address - bias), "kiln_test_landmark+0");
    EXPECT_EQ(symbol_at("/proc/self/exe", address - bias + 2), "kiln_test_landmark+2");
    EXPECT_EQ(symbol_at("/proc/self/exe", 1), "?");
}

TEST(elf_image, names_a_function_of_a_stripped_library) {
    Dl_info info{};
    const u64 address = in_c_library("qsort_r");
    ASSERT_NE(dladdr(reinterpret_cast<void*>(address), &info), 0);
    const u64 bias = image_of(address).bias;
    EXPECT_EQ(symbol_at(info.dli_fname, address - bias + 1), "qsort_r+1");
}

TEST(elf_image, a_name_is_cut_to_the_buffer) {
    char buffer[4];
    elf_symbol_place found;
    const u64 address = reinterpret_cast<u64>(&kiln_test_landmark);
    ASSERT_TRUE(find_elf_symbol(file_view("/proc/self/exe"), address - image_of(address).bias,
                                buffer, found));
    EXPECT_EQ(found.name, "kiln");
}

TEST(elf_image, what_is_no_elf_is_refused) {
    elf_image image;
    EXPECT_FALSE(find_elf_image(own_memory(), 0x1000, image));
    const char text[64] = "#!/bin/sh";
    EXPECT_FALSE(find_elf_image(own_memory(), reinterpret_cast<u64>(text), image));
    EXPECT_EQ(symbol_at("/dev/null", 0), "?");
}

}  // namespace
