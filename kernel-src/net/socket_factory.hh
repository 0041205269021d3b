// Makes sockets by family, type and protocol, with Linux's errors. Context: threads.
#pragma once

#include "net/socket.hh"

namespace kiln::net {

class network_stack;

// On the kernel's stack (net_init.cc).
result<ref<socket>> make_socket(i32 family, i32 type, i32 protocol);
result<void> make_socket_pair(i32 family, i32 type, i32 protocol, ref<socket>& first,
                              ref<socket>& second);

result<ref<socket>> make_unix_socket(i32 type, i32 protocol);
result<ref<socket>> make_inet_socket(network_stack& stack, u16 family, i32 type, i32 protocol);

}  // namespace kiln::net
