// What AF_UNIX sockets need from above the stack: names in the file system, and who the program is.
#include "fs/vfs.hh"
#include "linux/process.hh"
#include "net/unix_socket.hh"

namespace kiln::net {
namespace {

constexpr u32 socket_mode = mode_bit::socket | 0777;

class held_entry final : public unix_path_holder {
public:
    explicit held_entry(ref<dentry> entry) : held(std::move(entry)) {}
    const ref<dentry> held;
};

result<unix_path> path_to(std::string_view path) {
    ref<dentry> start = working_directory();
    ref<dentry> entry = TRY(resolve(*start, path));
    const void* identity = entry->target();
    return unix_path{TRY(make_ref<held_entry>(std::move(entry))), identity};
}

}  // namespace

result<unix_path> create_unix_path(std::string_view path) {
    ref<dentry> start = working_directory();
    auto made = make_node_at(*start, path, socket_mode & ~file_mode_mask(), 0);
    if (!made.ok()) {
        return made.error() == err::exist ? err::addrinuse : made.error();
    }
    return path_to(path);
}

result<unix_path> find_unix_path(std::string_view path) {
    unix_path found = TRY(path_to(path));
    const auto* target = static_cast<const inode*>(found.identity);
    if ((target->mode & mode_bit::type_mask) != mode_bit::socket) {
        return err::connrefused;
    }
    return found;
}

socket_credentials own_credentials() {
    process& self = the_process();
    lock_guard guard(self.identity_lock);
    return {process_id, self.creds.euid, self.creds.egid};
}

}  // namespace kiln::net
