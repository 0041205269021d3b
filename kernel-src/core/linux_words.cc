#include "core/linux_words.hh"

#include <algorithm>

namespace kiln {
namespace {

constexpr std::string_view device_place = "virtio_mmio.device";

// With a value, or without one.
constexpr std::string_view with_value[] = {
    device_place, "8250.nr_uarts", "acpi",   "console", "earlycon", "earlyprintk",      "loglevel",
    "panic",      "pci",           "reboot", "rootfstype", "tsc",   "random.trust_cpu"};
constexpr std::string_view words[] = {"nomodule", "nomodules", "quiet", "ro", "rw", "rootwait"};
// The keyboard's controller has many settings.
constexpr std::string_view keyboard = "i8042.";

template <usize Size>
bool contains(const std::string_view (&list)[Size], std::string_view text) {
    return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

// The root is found by what it holds, not by its name.
bool names_root(std::string_view value) {
    return value.starts_with("/dev/") || value.starts_with("PARTUUID=");
}

bool is_device_place(std::string_view argument) {
    return argument.starts_with(device_place) &&
           argument.substr(device_place.size()).starts_with('=');
}

bool is_access(std::string_view argument) {
    return argument == "ro" || argument == "rw";
}

bool is_root(std::string_view argument) {
    return argument.starts_with("root=") && names_root(argument.substr(5));
}

}  // namespace

bool is_for_linux(const cmdline_setting& setting) {
    const std::string_view key = setting.key.view();
    if (key.starts_with(keyboard)) {
        return true;
    }
    if (!setting.has_value) {
        return contains(words, key);
    }
    return contains(with_value, key) || (key == "root" && names_root(setting.value.view()));
}

void drop_launchers_words(vector<string>& arguments) {
    const usize before = arguments.size();
    while (!arguments.empty() && is_device_place(arguments.back().view())) {
        arguments.pop_back();
    }
    if (arguments.size() == before) {
        return;
    }
    const usize left = arguments.size();
    if (left >= 2 && is_access(arguments[left - 1].view()) && is_root(arguments[left - 2].view())) {
        arguments.pop_back();
        arguments.pop_back();
    }
    if (!arguments.empty() && arguments.back().view() == "pci=off") {
        arguments.pop_back();
    }
}

}  // namespace kiln
