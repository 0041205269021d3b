// Fuzzes the boot configuration: the input up to the first NUL byte is the command line, what
// follows is the manifest. Whatever is refused must be explained; whatever is taken must be
// complete.
#include <cstdlib>

#include "core/app_config.hh"

using namespace kiln;

namespace {

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void check_merged(const app_config& config) {
    require(!config.argv.empty() && !config.cwd.empty() && !config.hostname.empty());
    require(config.at_exit != exit_action::unset && config.root != root_source::unset);
    require(config.network.mode != network_mode::unset && config.log && config.network.wait);
    for (const string& setting : config.env) {
        require(setting.view().find('=') != std::string_view::npos && setting.view()[0] != '=');
    }
    for (const mount_config& mount : config.mounts) {
        require(mount.path.view().starts_with('/'));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const usize end = input.find('\0');
    sentence why;
    auto line = read_boot_line(input.substr(0, end), why);
    require(line.ok() || !why.empty());
    auto manifest = end == input.npos ? result<app_config>(app_config{})
                                      : read_manifest(input.substr(end + 1), why);
    require(manifest.ok() || !why.empty());
    if (line.ok() && manifest.ok()) {
        auto merged = merge_configs(manifest.take(), line.take(), why);
        require(merged.ok() || !why.empty());
        if (merged.ok()) {
            check_merged(merged.value());
        }
    }
    return 0;
}
