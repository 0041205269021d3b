// Neighbor Discovery (RFC 4861) and stateless address configuration (RFC 4862).
#include "net/ip.hh"
#include "net/stack.hh"

namespace kiln::net {
void ndp_solicit(interface&, const ip_address&, const mac_address*) {}
void ndp_input(interface&, u8, packet_ptr) {}
}  // namespace kiln::net
