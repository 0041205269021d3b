// The kernel command line split into settings and the program's arguments.
//
// Grammar: tokens are separated by blanks; inside a token, double quotes hold blanks together and
// the escapes \" \\ \n. Tokens `key=value`, or words that begin with a letter, come up to a bare `--`;
// every token behind it is an argument of the program, as it is. Knows no keys: what they mean is
// core/app_config's subject.
// Not locked.
#pragma once

#include <string_view>

#include "lib/result.hh"
#include "lib/string.hh"
#include "lib/types.hh"
#include "lib/vector.hh"

namespace kiln {

// Why a command line cannot be read, and at which byte.
struct cmdline_fault {
    std::string_view reason;
    u32 offset = 0;
};

struct cmdline_setting {
    string key;
    string value;
    u32 offset = 0;  // where its token begins
    bool has_value = true;
};

struct cmdline {
    vector<cmdline_setting> settings;  // in their order
    vector<string> arguments;
    bool has_arguments = false;  // whether there was a `--`

    // On err::inval `fault` is filled in; else err::nomem.
    static result<cmdline> parse(std::string_view text, cmdline_fault& fault);
};

}  // namespace kiln
