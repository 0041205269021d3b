// The settings of the boot command line (the grammar is lib/cmdline's).

#include "core/config_checks.hh"
#include "core/linux_words.hh"
#include "lib/cmdline.hh"

namespace kiln {
namespace {

class boot_line_reader {
public:
    explicit boot_line_reader(sentence& why) : _why(why) {}

    result<app_config> read(std::string_view line) {
        cmdline_fault fault;
        auto parsed = cmdline::parse(line, fault);
        if (parsed.error() == err::inval) {
            _why.set("kernel command line, byte {}: {}", fault.offset, fault.reason);
        }
        cmdline words = TRY(std::move(parsed));
        for (const cmdline_setting& setting : words.settings) {
            if (!is_for_linux(setting)) {
                TRY(apply(setting));
            }
        }
        drop_launchers_words(words.arguments);
        if (words.has_arguments && words.arguments.empty()) {
            _why.set("kernel command line: no program stands behind `--`");
            return err::inval;
        }
        _config.argv = std::move(words.arguments);
        return std::move(_config);
    }

private:
    struct handler {
        std::string_view key;
        result<void> (boot_line_reader::*apply)(std::string_view value);
    };
    static const handler handlers[12];

    result<void> apply(const cmdline_setting& setting) {
        _setting = &setting;
        if (!setting.has_value) {
            place();
            _why.add("before `--` only key=value is understood");
            return err::inval;
        }
        for (const handler& known : handlers) {
            if (known.key == setting.key.view()) {
                return (this->*known.apply)(setting.value);
            }
        }
        place();
        _why.add("the key \"{}\" is not known; known are", setting.key);
        for (const handler& known : handlers) {
            _why.add(" {}", known.key);
        }
        return err::inval;
    }

    void place() { _why.set("kernel command line, byte {}: ", _setting->offset); }

    // "kernel command line, byte 7: ip=… is no …"; an empty `wrong` is no error.
    result<void> expect(std::string_view wrong) {
        if (wrong.empty()) {
            return {};
        }
        place();
        _why.add("{}=\"{}\" {}", _setting->key, _setting->value, wrong);
        return err::inval;
    }

    static result<void> set(string& to, std::string_view value) {
        to.clear();
        return to.append(value);
    }

    static result<void> add(vector<string>& to, std::string_view value) {
        string copy = TRY(string::copy(value));
        return to.push_back(std::move(copy));
    }

    result<void> root(std::string_view value) {
        _config.root = value == "auto"   ? root_source::automatic
                       : value == "none" ? root_source::none
                                         : root_source::unset;
        return expect(_config.root == root_source::unset ? "is neither auto nor none" : "");
    }

    result<void> ip(std::string_view value) {
        network_config& network = _config.network;
        if (value == "dhcp" || value == "none") {
            network.mode = value == "dhcp" ? network_mode::dhcp : network_mode::none;
            network.addresses.clear();
            return {};
        }
        network.mode = network_mode::fixed;
        TRY(expect(check_prefix(value)));
        return add(network.addresses, value);
    }

    result<void> gateway(std::string_view value) {
        TRY(expect(check_address(value)));
        return add(_config.network.gateways, value);
    }

    result<void> dns(std::string_view value) {
        TRY(expect(check_address(value)));
        return add(_config.network.name_servers, value);
    }

    result<void> wait(std::string_view value) {
        _config.network.wait = value == "1";
        return expect(value == "0" || value == "1" ? "" : "is neither 0 nor 1");
    }

    result<void> env(std::string_view value) {
        const usize equals = value.find('=');
        TRY(expect(equals == value.npos || equals == 0 ? "is no NAME=VALUE" : ""));
        return set_variable(_config.env, value.substr(0, equals), value.substr(equals + 1));
    }

    result<void> cwd(std::string_view value) {
        TRY(expect(check_absolute_path(value)));
        return set(_config.cwd, value);
    }

    result<void> hostname(std::string_view value) {
        TRY(expect(check_host_name(value)));
        return set(_config.hostname, value);
    }

    result<void> log(std::string_view value) {
        if (value == "quiet") {
            _config.log = log_level::error;
        } else if (value == "info") {
            _config.log = log_level::info;
        } else if (value == "debug") {
            _config.log = log_level::debug;
        } else {
            return expect("is not quiet, info or debug");
        }
        return {};
    }

    result<void> trace(std::string_view value) {
        _config.trace_system_calls = value == "syscalls";
        return expect(value == "syscalls" || value == "none" ? "" : "is neither syscalls nor none");
    }

    result<void> at_exit(std::string_view value) {
        if (const std::string_view port = after(value, "port:"); port.data() != nullptr) {
            return exit_port(port);
        }
        _config.at_exit = parse_exit_action(value);
        return expect(_config.at_exit == exit_action::unset
                          ? "is not poweroff, reboot, halt or port:NUMBER"
                          : "");
    }

    // Where that is not the end, the power goes.
    result<void> exit_port(std::string_view digits) {
        u64 number = 0;
        const bool fits = parse_size(digits, number) && number <= 0xffff;
        _config.exit_port = static_cast<u16>(fits ? number : 0);
        return expect(fits ? "" : "has a port that is no number from 1 to 65535");
    }

    // tmpfs:/path[:size=BYTES][:copy]
    result<void> mount(std::string_view value) {
        const std::string_view rest = after(value, "tmpfs:");
        TRY(expect(rest.data() == nullptr ? "is no tmpfs:PATH" : ""));
        const usize end = rest.find(':');
        mount_config made;
        TRY(expect(check_absolute_path(rest.substr(0, end))));
        TRY(made.path.append(rest.substr(0, end)));
        TRY(mount_options(end == rest.npos ? "" : rest.substr(end + 1), made));
        return set_mount(_config.mounts, std::move(made));
    }

    result<void> mount_options(std::string_view options, mount_config& made) {
        while (!options.empty()) {
            const std::string_view option = options.substr(0, options.find(':'));
            options.remove_prefix(option.size() == options.size() ? option.size()
                                                                  : option.size() + 1);
            if (option == "copy") {
                made.copy = true;
            } else if (const std::string_view size = after(option, "size=");
                       size.data() != nullptr) {
                TRY(expect(parse_size(size, made.size) ? ""
                                                       : "has a size that is no number of bytes"));
            } else {
                return expect("has an option that is neither size=BYTES nor copy");
            }
        }
        return {};
    }

    // What follows a prefix; a view without data when the text does not begin with it.
    static std::string_view after(std::string_view text, std::string_view prefix) {
        return text.starts_with(prefix) ? text.substr(prefix.size()) : std::string_view();
    }

    static bool parse_size(std::string_view digits, u64& value) {
        value = 0;
        for (const char digit : digits) {
            if (digit < '0' || digit > '9' || __builtin_mul_overflow(value, u64{10}, &value) ||
                __builtin_add_overflow(value, static_cast<u64>(digit - '0'), &value)) {
                return false;
            }
        }
        return value > 0;
    }

    sentence& _why;
    app_config _config;
    const cmdline_setting* _setting = nullptr;
};

constinit const boot_line_reader::handler boot_line_reader::handlers[12] = {
    {"root", &boot_line_reader::root},         {"ip", &boot_line_reader::ip},
    {"gateway", &boot_line_reader::gateway},   {"dns", &boot_line_reader::dns},
    {"net.wait", &boot_line_reader::wait},     {"env", &boot_line_reader::env},
    {"cwd", &boot_line_reader::cwd},           {"mount", &boot_line_reader::mount},
    {"hostname", &boot_line_reader::hostname}, {"log", &boot_line_reader::log},
    {"trace", &boot_line_reader::trace},       {"exit", &boot_line_reader::at_exit},
};

}  // namespace

result<app_config> read_boot_line(std::string_view line, sentence& why) {
    return boot_line_reader(why).read(line);
}

}  // namespace kiln
