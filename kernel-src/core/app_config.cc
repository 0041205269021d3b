// The merged boot configuration: shared checks, precedence, defaults.

#include "core/app_config.hh"

#include "core/config_checks.hh"

namespace kiln {
namespace {

constexpr bool is_alphanumeric(char byte) {
    const char lower = static_cast<char>(byte | 0x20);
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z');
}

bool all_of(std::string_view text, std::string_view allowed) {
    return !text.empty() && text.find_first_not_of(allowed) == text.npos;
}

constexpr std::string_view address_letters = "0123456789abcdefABCDEF:.";

std::string_view variable_name(const string& setting) {
    return setting.view().substr(0, setting.view().find('='));
}

// Takes `over` when it holds something.
template <class Text>
void replace(Text& base, Text& over) {
    if (!over.empty()) {
        base = std::move(over);
    }
}

template <class Enum>
void replace_enum(Enum& base, Enum over) {
    if (over != Enum::unset) {
        base = over;
    }
}

template <class Enum>
void default_to(Enum& value, Enum fallback) {
    if (value == Enum::unset) {
        value = fallback;
    }
}

result<void> default_to(string& value, std::string_view fallback) {
    return value.empty() ? value.append(fallback) : result<void>();
}

// A new mode drops the addresses of the old one.
void merge_network(network_config& base, network_config& over) {
    if (over.mode != network_mode::unset) {
        base.mode = over.mode;
        base.addresses = std::move(over.addresses);
        base.gateways.clear();
    }
    replace(base.gateways, over.gateways);
    replace(base.name_servers, over.name_servers);
    if (over.wait) {
        base.wait = over.wait;
    }
}

result<void> merge(app_config& base, app_config& over) {
    replace(base.argv, over.argv);
    for (const string& setting : over.env) {
        const std::string_view name = variable_name(setting);
        TRY(set_variable(base.env, name, setting.view().substr(name.size() + 1)));
    }
    for (mount_config& mount : over.mounts) {
        TRY(set_mount(base.mounts, std::move(mount)));
    }
    replace(base.cwd, over.cwd);
    replace(base.hostname, over.hostname);
    merge_network(base.network, over.network);
    replace_enum(base.at_exit, over.at_exit);
    base.root = over.root;
    base.log = over.log;
    base.trace_system_calls = over.trace_system_calls;
    base.exit_port = over.exit_port;
    return {};
}

result<void> fill_defaults(app_config& config) {
    TRY(default_to(config.name, "kiln"));
    TRY(default_to(config.cwd, "/"));
    TRY(default_to(config.hostname,
                   check_host_name(config.name).empty() ? config.name.view() : "kiln"));
    default_to(config.at_exit, exit_action::poweroff);
    default_to(config.root, root_source::automatic);
    default_to(config.network.mode, network_mode::dhcp);
    config.log = config.log.value_or(log_level::info);
    config.network.wait = config.network.wait.value_or(false);
    return {};
}

err refuse(sentence& why, std::string_view reason) {
    why.set("{}", reason);
    return err::inval;
}

}  // namespace

std::string_view check_no_nul(std::string_view value) {
    return value.find('\0') == value.npos ? "" : "holds a NUL";
}

std::string_view check_absolute_path(std::string_view value) {
    if (value.empty() || value[0] != '/') {
        return "is no absolute path";
    }
    if (value.size() >= 4096) {
        return "is longer than a path can be";
    }
    return check_no_nul(value);
}

// RFC 1123, section 2.1, one label: that is what Linux's hostname usually is.
std::string_view check_host_name(std::string_view value) {
    const bool fits = !value.empty() && value.size() <= 63;
    if (!fits || !is_alphanumeric(value.front()) || !is_alphanumeric(value.back())) {
        return "is no host name";
    }
    for (const char byte : value) {
        if (!is_alphanumeric(byte) && byte != '-') {
            return "is no host name";
        }
    }
    return "";
}

std::string_view check_variable_name(std::string_view value) {
    if (value.empty() || value.find('=') != value.npos) {
        return "is no name of a variable";
    }
    return check_no_nul(value);
}

std::string_view check_address(std::string_view value) {
    return all_of(value, address_letters) && value.size() <= 45 ? "" : "is no IP address";
}

std::string_view check_prefix(std::string_view value) {
    const usize slash = value.find('/');
    if (slash == value.npos) {
        return "is no IP address with a prefix length, as in 10.0.2.15/24";
    }
    const std::string_view length = value.substr(slash + 1);
    if (!check_address(value.substr(0, slash)).empty() || !all_of(length, "0123456789") ||
        length.size() > 3) {
        return "is no IP address with a prefix length, as in 10.0.2.15/24";
    }
    return "";
}

exit_action parse_exit_action(std::string_view text) {
    if (text == "poweroff") {
        return exit_action::poweroff;
    }
    if (text == "reboot") {
        return exit_action::reboot;
    }
    return text == "halt" ? exit_action::halt : exit_action::unset;
}

result<void> set_variable(vector<string>& env, std::string_view name, std::string_view value) {
    string setting = TRY(string::copy(name));
    TRY(setting.append('='));
    TRY(setting.append(value));
    for (string& other : env) {
        if (variable_name(other) == name) {
            other = std::move(setting);
            return {};
        }
    }
    return env.push_back(std::move(setting));
}

result<void> set_mount(vector<mount_config>& mounts, mount_config mount) {
    for (mount_config& other : mounts) {
        if (other.path.view() == mount.path.view()) {
            other = std::move(mount);
            return {};
        }
    }
    return mounts.push_back(std::move(mount));
}

result<app_config> merge_configs(app_config manifest, app_config line, sentence& why) {
    TRY(merge(manifest, line));
    TRY(fill_defaults(manifest));
    if (manifest.argv.empty()) {
        return refuse(why,
                      "there is nothing to run: the command line has no `-- PROGRAM`, and the root"
                      " has no /etc/kiln/app.json");
    }
    const network_config& network = manifest.network;
    if (network.mode == network_mode::fixed && network.addresses.empty()) {
        return refuse(why, "the network is static and has no address; give ip=ADDRESS/LENGTH");
    }
    if (network.mode != network_mode::fixed && !network.gateways.empty()) {
        return refuse(why,
                      "a gateway needs a static address; give ip=ADDRESS/LENGTH with gateway=");
    }
    return manifest;
}

}  // namespace kiln
