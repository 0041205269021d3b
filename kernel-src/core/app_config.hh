// What to run and how: the image's manifest (/etc/kiln/app.json) and the boot command line, read,
// checked and put together.
//
// The order at boot: read_boot_line (it says where the root is), mount the root, read_manifest if
// the file is there, merge_configs. The command line wins: env and mounts key by key, all else as a
// whole. An unknown key, a wrong type or an impossible value is err::inval with a sentence that
// names the file or the command line, the place in it and the key; the only other error is
// err::nomem. Plain data, not locked; used at boot by one thread. docs/image.md describes it for
// users.
#pragma once

#include <optional>
#include <string_view>

#include "core/log.hh"
#include "lib/result.hh"
#include "lib/sentence.hh"
#include "lib/string.hh"
#include "lib/vector.hh"

namespace kiln {

inline constexpr std::string_view manifest_path = "/etc/kiln/app.json";

enum class root_source : u8 { unset, automatic, none };
enum class exit_action : u8 { unset, poweroff, reboot, halt };
enum class network_mode : u8 { unset, dhcp, fixed, none };

struct mount_config {
    string path;
    u64 size = 0;       // limit in bytes; 0: the file system's own default
    bool copy = false;  // starts with what the directory below holds
};

// Addresses are text here: net/ has the parser, and core/ lies below it.
struct network_config {
    network_mode mode = network_mode::unset;
    vector<string> addresses;  // with prefix length; mode fixed only
    vector<string> gateways;   // mode fixed only
    vector<string> name_servers;
    std::optional<bool> wait;  // start the program only when the network is up
};

// What a cloud's metadata may override.
enum class override_bit : u32 {
    argv = 1,
    env = 2,
    cwd = 4,
    mounts = 8,
    network = 16,
    hostname = 32,
    at_exit = 64,
};

struct app_config {
    string name;
    vector<string> argv;
    vector<string> env;  // "KEY=VALUE"; each key once
    string cwd;
    string hostname;
    vector<mount_config> mounts;  // each path once
    network_config network;
    exit_action at_exit = exit_action::unset;
    u32 overrides = 0;  // override_bit

    // From the command line only.
    root_source root = root_source::unset;
    std::optional<log_level> log;
    bool trace_system_calls = false;
    u16 exit_port = 0;  // takes the status at the end (QEMU's isa-debug-exit); 0: none
};

result<app_config> read_boot_line(std::string_view line, sentence& why);

result<app_config> read_manifest(std::string_view text, sentence& why);

// Puts `line` over `manifest` and fills in the defaults: afterwards nothing is unset, argv is not
// empty, and a fixed network has an address.
result<app_config> merge_configs(app_config manifest, app_config line, sentence& why);

}  // namespace kiln
