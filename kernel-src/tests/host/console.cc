// The host tests' console: no ports until a test puts some there.
#include "core/console.hh"

namespace kiln {

console_ports& the_console() {
    static console_ports ports;
    return ports;
}

void set_other_output(void (*)(std::string_view)) {}

}  // namespace kiln
