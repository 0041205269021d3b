// Names in a file system for AF_UNIX tests: a flat set of paths.
#include <map>
#include <string>

#include "net/unix_socket.hh"

namespace kiln::net {
namespace {

std::map<std::string, ref<unix_path_holder>, std::less<>> paths;

}  // namespace

result<unix_path> create_unix_path(std::string_view path) {
    if (paths.contains(path)) {
        return err::addrinuse;
    }
    ref<unix_path_holder> made = TRY(make_ref<unix_path_holder>());
    paths.emplace(std::string(path), made);
    return unix_path{made, made.get()};
}

result<unix_path> find_unix_path(std::string_view path) {
    const auto found = paths.find(path);
    if (found == paths.end()) {
        return err::noent;
    }
    return unix_path{found->second, found->second.get()};
}

socket_credentials own_credentials() {
    return {2, 0, 0};
}

}  // namespace kiln::net
