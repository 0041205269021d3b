// kernel only: starts the machine's network.
#include "init/network.hh"

#include "core/clock.hh"
#include "core/log.hh"
#include "init/ending.hh"
#include "lib/sentence.hh"
#include "net/configuration.hh"

namespace kiln {
namespace {

constexpr u64 longest_wait = 30 * ns_per_s;

net::configuration translate(const app_config& config) {
    std::string_view bad;
    const std::string_view name = config.hostname.empty() ? "kiln" : config.hostname.view();
    result<net::configuration> made = net::configuration_from(config.network, name, bad);
    if (!made.ok()) {
        sentence why;
        why.set("the network configuration's {} is not an IP address", bad);
        refuse_to_start(why);
    }
    return made.take();
}

}  // namespace

void start_network(const app_config& config) {
    const result<void> started = net::net_init(translate(config));
    if (!started.ok()) {
        log_error("the network does not start: error {}", started.error());
    }
    if (config.network.wait.value_or(false) && config.network.mode != network_mode::none &&
        !net::net_wait_configured(deadline_after(longest_wait)).ok()) {
        log_warning("no network address after {} s; the program starts without", longest_wait / ns_per_s);
    }
}

}  // namespace kiln
