// How the network is to be set up at boot; filled in from the command line or the image's manifest.
#pragma once

#include <span>
#include <string_view>

#include "core/app_config.hh"
#include "lib/result.hh"
#include "net/address.hh"

namespace kiln::net {

enum class address_mode : u8 { none, dhcp, fixed };

struct configuration {
    static constexpr usize max_name_servers = 4;
    static constexpr usize max_addresses = 4;

    address_mode mode = address_mode::dhcp;
    ip_prefix addresses[max_addresses]{};  // mode fixed
    usize address_count = 0;
    ip_address gateways[max_addresses]{};  // mode fixed: at most one of each family
    usize gateway_count = 0;
    ip_address name_servers[max_name_servers]{};
    usize name_server_count = 0;
    std::string_view host_name = "kiln";  // sent to the DHCP server
};

// From the text of the boot configuration; err::inval when an address cannot be read, and `bad` is the
// text then. `host_name` must outlive the stack.
result<configuration> configuration_from(const network_config& given, std::string_view host_name,
                                         std::string_view& bad);

// Starts the network on all registered devices. Loopback is up when it returns; the rest comes up in
// the background. Context: thread, once.
result<void> net_init(const configuration& wanted);

// Blocks until an address is there (or the deadline: err::timedout).
result<void> net_wait_configured(u64 deadline);

}  // namespace kiln::net
