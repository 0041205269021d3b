// Checks and updates that the two readers of the boot configuration share (see core/app_config.hh).
// Each check returns what is wrong as words that follow the value in a sentence, empty when it is
// fine.
#pragma once

#include <string_view>

#include "core/app_config.hh"

namespace kiln {

std::string_view check_no_nul(std::string_view value);
std::string_view check_absolute_path(std::string_view value);
std::string_view check_host_name(std::string_view value);
std::string_view check_variable_name(std::string_view value);
std::string_view check_address(std::string_view value);
std::string_view check_prefix(std::string_view value);

exit_action parse_exit_action(std::string_view text);  // unset when it is none

// Replaces the variable of the same name, or adds one.
result<void> set_variable(vector<string>& env, std::string_view name, std::string_view value);

// Replaces the mount of the same path, or adds one.
result<void> set_mount(vector<mount_config>& mounts, mount_config mount);

}  // namespace kiln
