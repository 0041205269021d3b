// Fuzzes the command line's tokenizer: no input may crash it, and its output is never longer.
#include <cstdlib>

#include "lib/cmdline.hh"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    cmdline_fault fault;
    auto line = cmdline::parse({reinterpret_cast<const char*>(data), size}, fault);
    if (!line.ok()) {
        if (fault.offset > size || fault.reason.empty()) {
            std::abort();
        }
        return 0;
    }
    usize total = 0;
    for (const cmdline_setting& setting : line.value().settings) {
        total += setting.key.size() + (setting.has_value ? 1 : 0) + setting.value.size();
    }
    for (const string& argument : line.value().arguments) {
        total += argument.size();
    }
    if (total > size) {
        std::abort();
    }
    return 0;
}
