// kernel only: the table is of the kernel's image.
#include "core/symbols.hh"

#include <algorithm>

extern "C" {
struct symbol_entry {
    kiln::u32 offset;  // from image_start
    kiln::u32 name;    // in symbol_names
};
extern const symbol_entry symbol_table[], symbol_table_end[];
extern const char symbol_names[], image_start[], text_end[];
}

namespace kiln {

symbol kernel_symbol_at(u64 address) {
    const auto start = reinterpret_cast<u64>(image_start);
    if (address < start || address >= reinterpret_cast<u64>(text_end)) {
        return {};
    }
    const auto offset = static_cast<u32>(address - start);
    const symbol_entry* after =
        std::upper_bound(symbol_table, symbol_table_end, offset,
                         [](u32 wanted, const symbol_entry& entry) { return wanted < entry.offset; });
    if (after == symbol_table) {
        return {};
    }
    return {.name = symbol_names + after[-1].name, .offset = offset - after[-1].offset};
}

}  // namespace kiln
