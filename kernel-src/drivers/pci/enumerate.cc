#include "drivers/pci/enumerate.hh"

namespace kiln::pci {
namespace {

constexpr u32 devices_of_a_bus = 32, functions_of_a_device = 8;

struct walk {
    config_space& space;
    vector<function>& found;
    u64 visited[4]{};  // a bit a bus, so that badly numbered bridges end the walk

    bool visit(u8 bus) {
        const u64 bit = u64{1} << (bus % 64);
        const bool first = (visited[bus / 64] & bit) == 0;
        visited[bus / 64] |= bit;
        return first;
    }
};

// Whether function `number` is there, and has others beside it.
result<bool> take_function(walk& at, address where, bool& more) {
    function probed(at.space, where);
    if (!probed.probe()) {
        return false;
    }
    more = probed.has_more_functions();
    TRY(at.found.push_back(probed));
    return true;
}

result<void> walk_bus(walk& at, u8 bus) {
    for (u8 device = 0; device < devices_of_a_bus; ++device) {
        bool more = false;
        if (!TRY(take_function(at, {bus, device, 0}, more)) || !more) {
            continue;
        }
        for (u8 number = 1; number < functions_of_a_device; ++number) {
            bool ignored = false;
            TRY(take_function(at, {bus, device, number}, ignored));
        }
    }
    return {};
}

}  // namespace

result<void> enumerate(config_space& space, vector<function>& found) {
    walk at{space, found};
    at.visit(0);
    TRY(walk_bus(at, 0));
    // Bridges found on the way are appended to the list, so this reaches every bus.
    for (usize i = 0; i < found.size(); ++i) {
        if (!found[i].is_bridge()) {
            continue;
        }
        const u8 bus = found[i].secondary_bus();
        if (bus != 0 && at.visit(bus)) {
            TRY(walk_bus(at, bus));
        }
    }
    return {};
}

void keep_clear_of_assigned(vector<function>& all, bar_window& window) {
    for (function& each : all) {
        const u32 bars = each.is_bridge() ? 2 : bars_of_a_device;
        for (u32 i = 0; i < bars; ++i) {
            const u64 place = each.assigned_memory_bar(i);
            if (place >= window.bottom()) {
                window.lower_top(place);
            }
            i += each.bar_is_64_bit(i) ? 1 : 0;
        }
    }
}

}  // namespace kiln::pci
