// core/app_config: the manifest, the boot command line, and one over the other.
#include "core/app_config.hh"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/json.hh"

// tests/data/manifests.json
asm(".section .rodata\n"
    ".globl manifest_cases, manifest_cases_end\n"
    "manifest_cases: .incbin \"" KILN_MANIFEST_CASES "\"\n"
    "manifest_cases_end: .byte 0\n"
    ".text\n");
extern "C" const char manifest_cases[], manifest_cases_end[];

using namespace kiln;

namespace {

using words = std::vector<std::string>;

words list(const vector<string>& from) {
    words made;
    for (const string& text : from) {
        made.emplace_back(text.view());
    }
    return made;
}

app_config line(std::string_view text) {
    sentence why;
    auto made = read_boot_line(text, why);
    EXPECT_TRUE(made.ok()) << why.view();
    return made.take();
}

app_config manifest(std::string_view text) {
    sentence why;
    auto made = read_manifest(text, why);
    EXPECT_TRUE(made.ok()) << why.view();
    return made.take();
}

app_config merged(std::string_view manifest_text, std::string_view line_text) {
    sentence why;
    app_config base = manifest_text.empty() ? app_config{} : manifest(manifest_text);
    auto made = merge_configs(std::move(base), line(line_text), why);
    EXPECT_TRUE(made.ok()) << why.view();
    return made.take();
}

std::string why_no_line(std::string_view text) {
    sentence why;
    EXPECT_EQ(read_boot_line(text, why).error(), err::inval) << text;
    return std::string(why.view());
}

std::string why_no_manifest(std::string_view text) {
    sentence why;
    EXPECT_EQ(read_manifest(text, why).error(), err::inval) << text;
    return std::string(why.view());
}

constexpr std::string_view full = R"({
 "version": 1, "name": "redis", "argv": ["/usr/bin/redis-server", "--port", "6379"],
 "env": {"LANG": "C.UTF-8", "EMPTY": ""}, "cwd": "/var/lib/redis", "hostname": "cache-1",
 "mounts": [{"path": "/tmp", "type": "tmpfs", "size": 67108864},
            {"path": "/var", "type": "tmpfs", "copy": true}],
 "network": {"mode": "static", "address": "10.0.2.15/24", "gateway": "10.0.2.2",
             "dns": ["10.0.2.3", "fec0::3"], "wait": true},
 "at_exit": "reboot", "overrides": ["env", "hostname"]
})";
constexpr std::string_view minimal = R"({"version": 1, "name": "a.b", "argv": ["/bin/x"]})";

TEST(app_config, reads_a_full_manifest) {
    const app_config config = manifest(full);
    EXPECT_EQ(config.name.view(), "redis");
    EXPECT_EQ(list(config.argv), (words{"/usr/bin/redis-server", "--port", "6379"}));
    EXPECT_EQ(list(config.env), (words{"LANG=C.UTF-8", "EMPTY="}));
    EXPECT_EQ(config.cwd.view(), "/var/lib/redis");
    EXPECT_EQ(config.hostname.view(), "cache-1");
    ASSERT_EQ(config.mounts.size(), 2u);
    EXPECT_EQ(config.mounts[0].path.view(), "/tmp");
    EXPECT_EQ(config.mounts[0].size, 67108864u);
    EXPECT_FALSE(config.mounts[0].copy);
    EXPECT_EQ(config.mounts[1].size, 0u);
    EXPECT_TRUE(config.mounts[1].copy);
    EXPECT_EQ(config.network.mode, network_mode::fixed);
    EXPECT_EQ(list(config.network.addresses), words{"10.0.2.15/24"});
    EXPECT_EQ(list(config.network.gateways), words{"10.0.2.2"});
    EXPECT_EQ(list(config.network.name_servers), (words{"10.0.2.3", "fec0::3"}));
    EXPECT_TRUE(config.network.wait.value_or(false));
    EXPECT_EQ(config.at_exit, exit_action::reboot);
    EXPECT_EQ(config.overrides, u32(override_bit::env) | u32(override_bit::hostname));
}

TEST(app_config, defaults_fill_what_is_unset) {
    const app_config config = merged(minimal, "");
    EXPECT_EQ(config.cwd.view(), "/");
    EXPECT_EQ(config.hostname.view(), "kiln");  // "a.b" is a name of an image, not of a host
    EXPECT_EQ(merged(R"({"version":1,"name":"x","argv":["/x"]})", "").hostname.view(), "x");
    EXPECT_EQ(config.network.mode, network_mode::dhcp);
    EXPECT_FALSE(config.network.wait.value_or(true));
    EXPECT_EQ(config.at_exit, exit_action::poweroff);
    EXPECT_EQ(config.root, root_source::automatic);
    EXPECT_EQ(config.log, log_level::info);
    EXPECT_EQ(config.overrides, 0u);
}

TEST(app_config, a_port_takes_the_status_at_the_end) {
    const app_config config = line("exit=port:244 -- /a");
    EXPECT_EQ(config.exit_port, 244);
    EXPECT_EQ(config.at_exit, exit_action::unset);
    EXPECT_EQ(line("-- /a").exit_port, 0);
}

TEST(app_config, reads_every_setting_of_the_line) {
    const app_config config = line(
        "root=none ip=10.0.2.15/24 ip=fec0::15/64 gateway=10.0.2.2 gateway=fec0::2 dns=10.0.2.3 "
        "net.wait=1 env=\"A=1 2\" env=B= cwd=/srv mount=tmpfs:/tmp:size=4096:copy mount=tmpfs:/run "
        "hostname=h log=debug trace=syscalls exit=halt -- /bin/sh -c \"echo \\\"hi\\\"\"");
    EXPECT_EQ(config.root, root_source::none);
    EXPECT_EQ(config.network.mode, network_mode::fixed);
    EXPECT_EQ(list(config.network.addresses), (words{"10.0.2.15/24", "fec0::15/64"}));
    EXPECT_EQ(list(config.network.gateways), (words{"10.0.2.2", "fec0::2"}));
    EXPECT_EQ(list(config.network.name_servers), words{"10.0.2.3"});
    EXPECT_TRUE(config.network.wait.value_or(false));
    EXPECT_EQ(list(config.env), (words{"A=1 2", "B="}));
    EXPECT_EQ(config.cwd.view(), "/srv");
    ASSERT_EQ(config.mounts.size(), 2u);
    EXPECT_EQ(config.mounts[0].path.view(), "/tmp");
    EXPECT_EQ(config.mounts[0].size, 4096u);
    EXPECT_TRUE(config.mounts[0].copy);
    EXPECT_EQ(config.mounts[1].path.view(), "/run");
    EXPECT_FALSE(config.mounts[1].copy);
    EXPECT_EQ(config.hostname.view(), "h");
    EXPECT_EQ(config.log, log_level::debug);
    EXPECT_TRUE(config.trace_system_calls);
    EXPECT_EQ(config.at_exit, exit_action::halt);
    EXPECT_EQ(list(config.argv), (words{"/bin/sh", "-c", "echo \"hi\""}));
}

TEST(app_config, the_line_wins_over_the_manifest) {
    const app_config config = merged(full,
                                     "env=LANG=C env=NEW=1 mount=tmpfs:/tmp:copy mount=tmpfs:/run "
                                     "cwd=/ hostname=other exit=halt "
                                     "-- /bin/other");
    EXPECT_EQ(list(config.argv), words{"/bin/other"});
    EXPECT_EQ(list(config.env), (words{"LANG=C", "EMPTY=", "NEW=1"}));
    ASSERT_EQ(config.mounts.size(), 3u);
    EXPECT_EQ(config.mounts[0].path.view(), "/tmp");
    EXPECT_EQ(config.mounts[0].size, 0u);
    EXPECT_TRUE(config.mounts[0].copy);
    EXPECT_EQ(config.mounts[1].path.view(), "/var");
    EXPECT_EQ(config.mounts[2].path.view(), "/run");
    EXPECT_EQ(config.cwd.view(), "/");
    EXPECT_EQ(config.hostname.view(), "other");
    EXPECT_EQ(config.at_exit, exit_action::halt);
    EXPECT_EQ(list(config.network.addresses), words{"10.0.2.15/24"});
    EXPECT_EQ(config.overrides, u32(override_bit::env) | u32(override_bit::hostname));
}

TEST(app_config, another_network_mode_drops_the_old_addresses) {
    const app_config config = merged(full, "ip=dhcp");
    EXPECT_EQ(config.network.mode, network_mode::dhcp);
    EXPECT_TRUE(config.network.addresses.empty());
    EXPECT_TRUE(config.network.gateways.empty());
    EXPECT_EQ(list(config.network.name_servers), (words{"10.0.2.3", "fec0::3"}));
    EXPECT_TRUE(config.network.wait.value_or(false));
    const app_config fixed = merged(full, "ip=192.168.1.2/24 gateway=192.168.1.1 net.wait=0");
    EXPECT_EQ(list(fixed.network.addresses), words{"192.168.1.2/24"});
    EXPECT_EQ(list(fixed.network.gateways), words{"192.168.1.1"});
    EXPECT_FALSE(fixed.network.wait.value_or(true));
}

TEST(app_config, the_last_of_two_settings_holds) {
    const app_config config =
        line("cwd=/a cwd=/b ip=10.0.0.1/8 ip=dhcp env=A=1 env=A=2 log=debug log=quiet");
    EXPECT_EQ(config.cwd.view(), "/b");
    EXPECT_EQ(config.network.mode, network_mode::dhcp);
    EXPECT_TRUE(config.network.addresses.empty());
    EXPECT_EQ(list(config.env), words{"A=2"});
    EXPECT_EQ(config.log, log_level::error);
}

TEST(app_config, what_launchers_tell_linux_is_passed_over) {
    const app_config made =
        line("console=ttyS0 reboot=k panic=1 pci=off nomodules 8250.nr_uarts=0 i8042.noaux "
             "i8042.nomux i8042.dumbkbd log=debug root=/dev/vda ro virtio_mmio.device=4K@0xd0000000:5 "
             "-- /bin/x ro");
    EXPECT_EQ(list(made.argv), (words{"/bin/x", "ro"}));
    EXPECT_EQ(made.log, log_level::debug);
    EXPECT_EQ(made.root, root_source::unset);
}

TEST(app_config, launchers_put_their_words_at_the_end) {
    const std::string place = " virtio_mmio.device=4K@0xd0000000:5";
    EXPECT_EQ(list(line("-- /x root=/dev/vda ro" + place + place).argv), words{"/x"});
    EXPECT_EQ(list(line("-- /x pci=off root=PARTUUID=1-2 rw" + place).argv), words{"/x"});
    EXPECT_EQ(list(line("-- /x rw" + place).argv), (words{"/x", "rw"}));
    // Without a device's place at the end they are the program's.
    EXPECT_EQ(list(line("-- /x root=/dev/vda ro").argv), (words{"/x", "root=/dev/vda", "ro"}));
}

TEST(app_config, a_bad_line_is_explained) {
    const std::string head = "kernel command line, byte ";
    EXPECT_EQ(
        why_no_line("log=info quite=1"),
        head +
            "9: the key \"quite\" is not known; known are root ip gateway dns net.wait env cwd "
            "mount hostname log trace exit");
    EXPECT_EQ(why_no_line("a b"), head + "0: before `--` only key=value is understood");
    EXPECT_EQ(why_no_line("x=\"y"), head + "2: this quote is not closed");
    EXPECT_EQ(why_no_line("root=vda"), head + "0: root=\"vda\" is neither auto nor none");
    EXPECT_EQ(
        why_no_line("ip=10.0.2.15"),
        head + "0: ip=\"10.0.2.15\" is no IP address with a prefix length, as in 10.0.2.15/24");
    EXPECT_EQ(why_no_line("ip=eth0/24"),
              head + "0: ip=\"eth0/24\" is no IP address with a prefix length, as in 10.0.2.15/24");
    EXPECT_EQ(why_no_line("gateway=here"), head + "0: gateway=\"here\" is no IP address");
    EXPECT_EQ(why_no_line("dns="), head + "0: dns=\"\" is no IP address");
    EXPECT_EQ(why_no_line("net.wait=yes"), head + "0: net.wait=\"yes\" is neither 0 nor 1");
    EXPECT_EQ(why_no_line("env=A"), head + "0: env=\"A\" is no NAME=VALUE");
    EXPECT_EQ(why_no_line("env==A"), head + "0: env=\"=A\" is no NAME=VALUE");
    EXPECT_EQ(why_no_line("cwd=tmp"), head + "0: cwd=\"tmp\" is no absolute path");
    EXPECT_EQ(why_no_line("hostname=-a"), head + "0: hostname=\"-a\" is no host name");
    EXPECT_EQ(why_no_line("log=loud"), head + "0: log=\"loud\" is not quiet, info or debug");
    EXPECT_EQ(why_no_line("trace=all"),
              head + "0: trace=\"all\" is neither syscalls nor none");
    EXPECT_EQ(why_no_line("exit=never"),
              head + "0: exit=\"never\" is not poweroff, reboot, halt or port:NUMBER");
    for (std::string_view port : {"", "0", "0xf4", "65536", "-1"}) {
        const std::string setting = "exit=port:" + std::string(port);
        EXPECT_EQ(why_no_line(setting), head + "0: exit=\"port:" + std::string(port) +
                                            "\" has a port that is no number from 1 to 65535");
    }
    EXPECT_EQ(why_no_line("mount=/tmp"), head + "0: mount=\"/tmp\" is no tmpfs:PATH");
    EXPECT_EQ(why_no_line("mount=tmpfs:tmp"), head + "0: mount=\"tmpfs:tmp\" is no absolute path");
    EXPECT_EQ(why_no_line("mount=tmpfs:/t:ro"),
              head + "0: mount=\"tmpfs:/t:ro\" has an option that is neither size=BYTES nor copy");
    for (std::string_view size : {"", "0", "1k", "-1", "18446744073709551616"}) {
        const std::string setting = "mount=tmpfs:/t:size=" + std::string(size);
        EXPECT_NE(why_no_line(setting).find("has a size that is no number of bytes"),
                  std::string::npos);
    }
    EXPECT_EQ(why_no_line("log=info --"), "kernel command line: no program stands behind `--`");
}

TEST(app_config, a_bad_manifest_is_explained) {
    const std::string head = "/etc/kiln/app.json, line ";
    const auto with = [](std::string_view member) {
        return R"({"version":1,"name":"x","argv":["/x"],)" + std::string(member) + "}";
    };
    const std::string at = head + "1, column ";
    EXPECT_EQ(why_no_manifest("{\n \"version\": 1,\n \"argz\": []\n}"),
              head +
                  "3, column 2: the key \"argz\" is not known; known are version name argv env cwd "
                  "hostname mounts network at_exit overrides");
    EXPECT_EQ(why_no_manifest("{\"version\": 1,\n}"),
              head + "2, column 1: a name in quotes was expected");
    EXPECT_EQ(why_no_manifest(""), head + "1, column 1: the text ends too early");
    EXPECT_EQ(why_no_manifest("[]"), at + "1: the description must be an object, not a list");
    EXPECT_EQ(why_no_manifest("{}"), at + "1: the key \"version\" is missing");
    EXPECT_EQ(why_no_manifest(R"({"version":1,"argv":["/x"]})"),
              at + "1: the key \"name\" is missing");
    EXPECT_EQ(why_no_manifest(R"({"version":1,"name":"x"})"),
              at + "1: the key \"argv\" is missing");
    EXPECT_EQ(why_no_manifest(R"({"version":2})"),
              at + "12: version: \"2\" is no version that this kernel reads; it reads 1");
    EXPECT_EQ(why_no_manifest(R"({"version":"1"})"),
              at + "12: version must be a number, not a text");
    EXPECT_EQ(why_no_manifest(R"({"argv":[]})"),
              at + "9: argv: this needs the program's path at least");
    EXPECT_EQ(why_no_manifest(R"({"argv":["x"]})"), at + "10: argv: \"x\" is no absolute path");
    EXPECT_EQ(why_no_manifest(R"({"argv":["/x",1]})"),
              at + "15: argv must be a text, not a number");
    EXPECT_EQ(why_no_manifest(R"({"argv":["/x","a\u0000"]})").substr(0, at.size() + 10),
              at + "15: argv: ");
    EXPECT_EQ(
        why_no_manifest(R"({"name":"Redis"})"),
        at + "9: name: \"Redis\" is no name: small letters, digits, dots, dashes and underscores");
    EXPECT_EQ(why_no_manifest(with(R"("env":{"A=B":"1"})")),
              at + "46: env: \"A=B\" is no name of a variable");
    EXPECT_EQ(why_no_manifest(with(R"("env":{"A":1})")),
              at + "50: env must be a text, not a number");
    EXPECT_EQ(why_no_manifest(with(R"("cwd":"x")")), at + "45: cwd: \"x\" is no absolute path");
    EXPECT_EQ(why_no_manifest(with(R"("hostname":"a_b")")),
              at + "50: hostname: \"a_b\" is no host name");
    EXPECT_EQ(why_no_manifest(with(R"("mounts":[{"path":"/t"}])")),
              at + "49: the key \"type\" is missing");
    EXPECT_EQ(why_no_manifest(with(R"("mounts":[{"type":"tmpfs"}])")),
              at + "49: the key \"path\" is missing");
    EXPECT_EQ(why_no_manifest(with(R"("mounts":[{"type":"ext4"}])")),
              at + "57: type: \"ext4\" is no file system for a mount; there is tmpfs");
    EXPECT_EQ(why_no_manifest(with(R"("mounts":[{"size":1}])")),
              at + "57: size: \"1\" is no number of bytes from 4096 on");
    EXPECT_EQ(why_no_manifest(with(R"("mounts":[{"size":-8192}])")),
              at + "57: size: \"-8192\" is no number of bytes from 4096 on");
    EXPECT_EQ(why_no_manifest(with(R"("mounts":[{"copy":1}])")),
              at + "57: copy must be true or false, not a number");
    EXPECT_EQ(why_no_manifest(with(R"("mounts":[{"mode":1}])")),
              at + "50: the key \"mode\" is not known; known are path type size copy");
    EXPECT_EQ(why_no_manifest(with(R"("network":{})")), at + "49: the key \"mode\" is missing");
    EXPECT_EQ(why_no_manifest(with(R"("network":{"mode":"static"})")),
              at + "49: the key \"address\" is missing");
    EXPECT_EQ(why_no_manifest(with(R"("network":{"mode":"dhcp","gateway":"1.2.3.4"})")),
              at + "49: network: address and gateway need the mode static");
    EXPECT_EQ(why_no_manifest(with(R"("network":{"mode":"auto"})")),
              at + "57: mode: \"auto\" is not dhcp, static or none");
    EXPECT_EQ(why_no_manifest(with(R"("network":{"dns":"1.2.3.4"})")),
              at + "56: dns must be a list, not a text");
    EXPECT_EQ(why_no_manifest(with(R"("at_exit":"stop")")),
              at + "49: at_exit: \"stop\" is not poweroff, reboot or halt");
    EXPECT_EQ(why_no_manifest(with(R"("overrides":["name"])")),
              at + "52: overrides: \"name\" is nothing that can be overridden");
    EXPECT_EQ(why_no_manifest(with(R"("overrides":["env","env"])")),
              at + "58: overrides: \"env\" stands in the list twice");
}

// The same descriptions are put to the JSON Schema by tests/unit/test_app_cases.py, so that what
// the image module accepts boots, and what it refuses would not.
TEST(app_config, agrees_with_the_published_schema) {
    json_fault fault;
    auto cases = json_document::parse({manifest_cases, manifest_cases_end}, fault);
    ASSERT_TRUE(cases.ok()) << fault.reason << " at " << fault.offset;
    const json_value root = cases.value().root();
    ASSERT_GT(root.find("valid").value().size(), 20u);
    for (const json_value given : root.find("valid").value().elements()) {
        sentence why;
        EXPECT_TRUE(read_manifest(given.as_text().value(), why).ok())
            << given.as_text().value() << ": " << why.view();
    }
    ASSERT_GT(root.find("invalid").value().size(), 60u);
    for (const json_value given : root.find("invalid").value().elements()) {
        sentence why;
        EXPECT_EQ(read_manifest(given.as_text().value(), why).error(), err::inval)
            << given.as_text().value();
        EXPECT_FALSE(why.empty());
    }
}

TEST(app_config, a_contradiction_shows_when_merged) {
    const auto why_not = [](std::string_view text) {
        sentence why;
        EXPECT_EQ(merge_configs({}, line(text), why).error(), err::inval);
        return std::string(why.view());
    };
    EXPECT_NE(why_not("log=info").find("there is nothing to run"), std::string::npos);
    EXPECT_NE(why_not("gateway=10.0.2.2 -- /x").find("a gateway needs a static address"),
              std::string::npos);
    EXPECT_NE(why_not("ip=dhcp gateway=10.0.2.2 -- /x").find("a gateway needs a static address"),
              std::string::npos);
}

TEST(app_config, a_huge_unknown_key_only_cuts_the_sentence) {
    const std::string said = why_no_line(std::string(100000, 'k') + "=1");
    EXPECT_EQ(said.size(), 320u);
    EXPECT_EQ(said.substr(0, 44), "kernel command line, byte 0: the key \"kkkkkk");
}

}  // namespace
