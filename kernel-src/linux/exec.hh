// Starting the program: its file, its interpreter (ld.so), the vDSO and the first stack are mapped as
// Linux maps them, and the stack holds what Linux puts there.
//
// Context: a thread that may sleep, holding no locks, before the program runs.
#pragma once

#include <span>
#include <string_view>

#include "lib/result.hh"
#include "lib/sentence.hh"
#include "lib/types.hh"

namespace kiln {

struct program_request {
    // A name without a slash is looked for in PATH of `environment`.
    std::string_view path;
    std::span<const std::string_view> arguments;
    std::span<const std::string_view> environment;
};

// Registers with which the program starts; all others are 0.
struct program_start {
    u64 rip = 0;
    u64 rsp = 0;
};

// Fails with Linux's errno for execve and says why.
result<void> load_program(const program_request& request, program_start& out, sentence& why);

}  // namespace kiln
