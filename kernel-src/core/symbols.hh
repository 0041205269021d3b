// Names of the kernel's own functions, for reports. The table is made from the linked kernel and linked
// in again (cmake/symbols.cmake). Context: any.
#pragma once

#include <string_view>

#include "lib/types.hh"

namespace kiln {

struct symbol {
    std::string_view name;  // empty: none known
    u64 offset = 0;         // of the address in it
};

symbol kernel_symbol_at(u64 address);

}  // namespace kiln
