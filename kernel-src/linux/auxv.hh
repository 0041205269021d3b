// The first stack of a program, put together in kernel memory: strings, auxiliary vector, environment,
// arguments. What lies where: System V ABI, AMD64 supplement, "Process Initialization"; the order of
// the strings is Linux's. Context: any.
#pragma once

#include <span>
#include <string_view>

#include "lib/result.hh"
#include "lib/vector.hh"

namespace kiln {

// AT_* (include/uapi/linux/auxvec.h, arch/x86/include/uapi/asm/auxvec.h).
namespace auxv {
inline constexpr u64 null = 0, phdr = 3, phent = 4, phnum = 5, pagesz = 6, base = 7, flags = 8,
                     entry = 9, uid = 11, euid = 12, gid = 13, egid = 14, platform = 15, hwcap = 16,
                     clktck = 17, secure = 23, random = 25, hwcap2 = 26, execfn = 31,
                     sysinfo_ehdr = 33, minsigstksz = 51;
}

struct stack_request {
    u64 top = 0;  // page-aligned end of the stack's area
    u64 jitter = 0;  // bytes to leave below the strings
    std::string_view executable;
    std::span<const std::string_view> arguments;
    std::span<const std::string_view> environment;
    std::span<const std::byte> random;  // 16 bytes
    u64 program_headers = 0, header_count = 0, interpreter_base = 0, entry = 0, vdso = 0;
    u64 hwcap = 0, hwcap2 = 0, signal_stack_minimum = 2048;
};

// Bytes to be copied to [stack_pointer, top), and where things are in them.
struct stack_image {
    u64 stack_pointer = 0;
    vector<u8> bytes;
    u64 arguments_start = 0, arguments_end = 0, environment_start = 0, environment_end = 0;
    u64 auxv_address = 0, auxv_size = 0;
};

result<stack_image> build_stack(const stack_request& request);

}  // namespace kiln
