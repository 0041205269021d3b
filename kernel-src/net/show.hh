// The texts of /proc/net: what ss, netstat, the JVM and monitoring read. Formats are those of Linux
// (proc(5) and the kernel's Documentation/networking).
// No lock is held while a sink takes text. Context: threads.
#pragma once

#include <span>
#include <string_view>

#include "lib/format.hh"

namespace kiln::net {

class network_stack;

struct proc_net_file {
    std::string_view name;  // below /proc/net
    void (*show)(network_stack& stack, text_sink& to);
};

// All of them, and the one of a name (null when there is none).
std::span<const proc_net_file> proc_net_files();
const proc_net_file* find_proc_net_file(std::string_view name);

}  // namespace kiln::net
