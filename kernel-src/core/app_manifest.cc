// The image's manifest, /etc/kiln/app.json: the same rules as its published JSON Schema.

#include <iterator>
#include <span>

#include "core/config_checks.hh"
#include "lib/json.hh"

namespace kiln {
namespace {

class manifest_reader {
public:
    manifest_reader(std::string_view text, sentence& why) : _text(text), _why(why) {}

    result<app_config> read() {
        json_fault fault;
        auto parsed = json_document::parse(_text, fault);
        if (!parsed.ok() && parsed.error() != err::nomem) {
            place(fault.offset);
            _why.add("{}", fault.reason);
            return err::inval;
        }
        const json_document document = TRY(std::move(parsed));
        TRY(read_object(document.root(), top_keys));
        TRY(require(document.root(), "version"));
        TRY(require(document.root(), "name"));
        TRY(require(document.root(), "argv"));
        return std::move(_config);
    }

private:
    struct handler {
        std::string_view key;
        result<void> (manifest_reader::*read)(json_value value);
    };
    static const handler top_keys[10];
    static const handler mount_keys[4];
    static const handler network_keys[5];

    void place(usize offset) {
        const text_position at = position_of(_text, offset);
        _why.set("{}, line {}, column {}: ", manifest_path, at.line, at.column);
    }

    template <class... Args>
    err fail(u32 offset, std::string_view pattern, const Args&... args) {
        place(offset);
        _why.add(pattern, args...);
        return err::inval;
    }

    // An empty `wrong` is no error.
    result<void> expect(json_value value, std::string_view wrong) {
        if (wrong.empty()) {
            return {};
        }
        if (auto text = value.as_text(); text.ok()) {
            return fail(value.offset(), "{}: \"{}\" {}", _key, text.value(), wrong);
        }
        return fail(value.offset(), "{}: this {}", _key, wrong);
    }

    result<void> expect_type(json_value value, json_type wanted) {
        if (value.is(wanted)) {
            return {};
        }
        return fail(value.offset(), "{} must be {}, not {}", _key, describe(wanted),
                    describe(value.type()));
    }

    result<void> require(json_value object, std::string_view key) {
        if (object.find(key).ok()) {
            return {};
        }
        return fail(object.offset(), "the key \"{}\" is missing", key);
    }

    result<void> read_object(json_value object, std::span<const handler> known) {
        TRY(expect_type(object, json_type::object));
        for (const json_member member : object.members()) {
            TRY(read_member(member, known));
        }
        return {};
    }

    result<void> read_member(const json_member& member, std::span<const handler> known) {
        for (const handler& candidate : known) {
            if (candidate.key == member.name) {
                _key = candidate.key;
                return (this->*candidate.read)(member.value);
            }
        }
        place(member.name_offset);
        _why.add("the key \"{}\" is not known; known are", member.name);
        for (const handler& candidate : known) {
            _why.add(" {}", candidate.key);
        }
        return err::inval;
    }

    // A text that passes a check.
    result<std::string_view> text(json_value value, std::string_view (*check)(std::string_view)) {
        TRY(expect_type(value, json_type::text));
        const std::string_view found = TRY(value.as_text());
        TRY(expect(value, check(found)));
        return found;
    }

    result<void> set(string& to, json_value value, std::string_view (*check)(std::string_view)) {
        const std::string_view found = TRY(text(value, check));
        return to.append(found);
    }

    result<void> add(vector<string>& to, json_value value,
                     std::string_view (*check)(std::string_view)) {
        string made;
        TRY(set(made, value, check));
        return to.push_back(std::move(made));
    }

    result<void> version(json_value value) {
        TRY(expect_type(value, json_type::number));
        return expect(value, value.as_u64().value_or(0) == 1
                                 ? ""
                                 : "is no version that this kernel reads; it reads 1");
    }

    result<void> name(json_value value) { return set(_config.name, value, check_image_name); }
    result<void> cwd(json_value value) { return set(_config.cwd, value, check_absolute_path); }
    result<void> hostname(json_value value) {
        return set(_config.hostname, value, check_host_name);
    }

    static std::string_view check_image_name(std::string_view value) {
        constexpr std::string_view ends = "abcdefghijklmnopqrstuvwxyz0123456789";
        const bool good =
            !value.empty() && ends.find(value.front()) != ends.npos &&
            ends.find(value.back()) != ends.npos &&
            value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == value.npos;
        return good ? "" : "is no name: small letters, digits, dots, dashes and underscores";
    }

    result<void> argv(json_value value) {
        TRY(expect_type(value, json_type::array));
        TRY(expect(value, value.size() > 0 ? "" : "needs the program's path at least"));
        for (const json_value argument : value.elements()) {
            TRY(add(_config.argv, argument,
                    _config.argv.empty() ? check_absolute_path : check_no_nul));
        }
        return {};
    }

    result<void> env(json_value value) {
        TRY(expect_type(value, json_type::object));
        for (const json_member variable : value.members()) {
            if (const std::string_view wrong = check_variable_name(variable.name); !wrong.empty()) {
                return fail(variable.name_offset, "env: \"{}\" {}", variable.name, wrong);
            }
            const std::string_view content = TRY(text(variable.value, check_no_nul));
            TRY(set_variable(_config.env, variable.name, content));
        }
        return {};
    }

    result<void> mounts(json_value value) {
        TRY(expect_type(value, json_type::array));
        for (const json_value element : value.elements()) {
            _mount = {};
            _key = "mounts";
            TRY(read_object(element, mount_keys));
            TRY(require(element, "path"));
            TRY(require(element, "type"));
            TRY(set_mount(_config.mounts, std::move(_mount)));
        }
        return {};
    }

    result<void> mount_path(json_value value) {
        return set(_mount.path, value, check_absolute_path);
    }

    result<void> mount_type(json_value value) {
        const std::string_view found = TRY(text(value, check_no_nul));
        return expect(value,
                      found == "tmpfs" ? "" : "is no file system for a mount; there is tmpfs");
    }

    result<void> mount_size(json_value value) {
        TRY(expect_type(value, json_type::number));
        _mount.size = value.as_u64().value_or(0);
        return expect(value, _mount.size >= page_size ? "" : "is no number of bytes from 4096 on");
    }

    result<bool> truth(json_value value) {
        TRY(expect_type(value, json_type::boolean));
        return value.as_bool();
    }

    result<void> mount_copy(json_value value) {
        _mount.copy = TRY(truth(value));
        return {};
    }

    result<void> network(json_value value) {
        TRY(read_object(value, network_keys));
        _key = "network";
        TRY(require(value, "mode"));
        const bool fixed = _config.network.mode == network_mode::fixed;
        if (fixed) {
            return require(value, "address");
        }
        const bool has_address = value.find("address").ok() || value.find("gateway").ok();
        return has_address
                   ? fail(value.offset(), "network: address and gateway need the mode static")
                   : result<void>();
    }

    result<void> network_mode_key(json_value value) {
        const std::string_view found = TRY(text(value, check_no_nul));
        network_mode& mode = _config.network.mode;
        mode = found == "dhcp"     ? network_mode::dhcp
               : found == "static" ? network_mode::fixed
               : found == "none"   ? network_mode::none
                                   : network_mode::unset;
        return expect(value, mode == network_mode::unset ? "is not dhcp, static or none" : "");
    }

    result<void> address(json_value value) {
        return add(_config.network.addresses, value, check_prefix);
    }
    result<void> gateway(json_value value) {
        return add(_config.network.gateways, value, check_address);
    }

    result<void> dns(json_value value) {
        TRY(expect_type(value, json_type::array));
        for (const json_value server : value.elements()) {
            TRY(add(_config.network.name_servers, server, check_address));
        }
        return {};
    }

    result<void> wait(json_value value) {
        _config.network.wait = TRY(truth(value));
        return {};
    }

    result<void> at_exit(json_value value) {
        const std::string_view found = TRY(text(value, check_no_nul));
        _config.at_exit = parse_exit_action(found);
        const bool known = _config.at_exit != exit_action::unset;
        return expect(value, known ? "" : "is not poweroff, reboot or halt");
    }

    result<void> overrides(json_value value) {
        constexpr std::string_view names[] = {"argv",    "env",      "cwd",    "mounts",
                                              "network", "hostname", "at_exit"};
        TRY(expect_type(value, json_type::array));
        for (const json_value element : value.elements()) {
            const std::string_view found = TRY(text(element, check_no_nul));
            u32 bit = 0;
            for (u32 index = 0; index < std::size(names); ++index) {
                bit |= names[index] == found ? 1u << index : 0;
            }
            TRY(expect(element, bit != 0 ? "" : "is nothing that can be overridden"));
            TRY(expect(element, (_config.overrides & bit) == 0 ? "" : "stands in the list twice"));
            _config.overrides |= bit;
        }
        return {};
    }

    std::string_view _text;
    sentence& _why;
    app_config _config;
    mount_config _mount;
    std::string_view _key = "the description";
};

constinit const manifest_reader::handler manifest_reader::top_keys[10] = {
    {"version", &manifest_reader::version}, {"name", &manifest_reader::name},
    {"argv", &manifest_reader::argv},       {"env", &manifest_reader::env},
    {"cwd", &manifest_reader::cwd},         {"hostname", &manifest_reader::hostname},
    {"mounts", &manifest_reader::mounts},   {"network", &manifest_reader::network},
    {"at_exit", &manifest_reader::at_exit}, {"overrides", &manifest_reader::overrides},
};
constinit const manifest_reader::handler manifest_reader::mount_keys[4] = {
    {"path", &manifest_reader::mount_path},
    {"type", &manifest_reader::mount_type},
    {"size", &manifest_reader::mount_size},
    {"copy", &manifest_reader::mount_copy},
};
constinit const manifest_reader::handler manifest_reader::network_keys[5] = {
    {"mode", &manifest_reader::network_mode_key},
    {"address", &manifest_reader::address},
    {"gateway", &manifest_reader::gateway},
    {"dns", &manifest_reader::dns},
    {"wait", &manifest_reader::wait},
};

}  // namespace

result<app_config> read_manifest(std::string_view text, sentence& why) {
    return manifest_reader(text, why).read();
}

}  // namespace kiln
