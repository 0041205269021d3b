// Fuzzes the JSON reader: no input may crash it, and what it takes can be walked through.
#include <cstdlib>

#include "lib/json.hh"

using namespace kiln;

namespace {

// Recursion is bounded by json_document::max_depth. Returns the number of values.
u64 walk(json_value value) {
    u64 count = 1;
    for (json_value element : value.elements()) {
        count += walk(element);
    }
    for (json_member member : value.members()) {
        if (!value.find(member.name).ok()) {
            std::abort();
        }
        count += walk(member.value);
    }
    if (auto number = value.as_i64(); number.ok() && number.value() >= 0) {
        if (value.as_u64().value_or(0) != static_cast<u64>(number.value())) {
            std::abort();
        }
    }
    return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    json_fault fault;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    auto document = json_document::parse(text, fault);
    if (document.ok()) {
        if (walk(document.value().root()) > size) {
            std::abort();
        }
    } else if (fault.offset > size || fault.reason.empty()) {
        std::abort();
    }
    return 0;
}
