#include "net/configuration.hh"

namespace kiln::net {
namespace {

// Reads each text by `parse` into `to`, as far as there is room.
template <class Parsed, class Parse>
result<usize> read_all(const vector<string>& from, std::span<Parsed> to, Parse parse,
                       std::string_view& bad) {
    usize count = 0;
    for (const string& text : from) {
        auto parsed = parse(text.view());
        if (!parsed.ok() || count == to.size()) {
            bad = text.view();
            return err::inval;
        }
        to[count++] = parsed.value();
    }
    return count;
}

}  // namespace

result<configuration> configuration_from(const network_config& given, std::string_view host_name,
                                         std::string_view& bad) {
    configuration made;
    made.host_name = host_name;
    made.mode = given.mode == network_mode::fixed  ? address_mode::fixed
                : given.mode == network_mode::none ? address_mode::none
                                                   : address_mode::dhcp;
    made.address_count =
        TRY(read_all<ip_prefix>(given.addresses, made.addresses, parse_prefix, bad));
    made.gateway_count =
        TRY(read_all<ip_address>(given.gateways, made.gateways, parse_address, bad));
    made.name_server_count =
        TRY(read_all<ip_address>(given.name_servers, made.name_servers, parse_address, bad));
    return made;
}

}  // namespace kiln::net
