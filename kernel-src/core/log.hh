// The kernel's own lines: `log_info("virtio-net: {} queues", n)`. Goes to the kernel log ring (kept for
// the API), to the kiln.log port when there is one, and otherwise to the serial console, marked
// "kiln: ". Context: any; never sleeps.
#pragma once

#include <span>
#include <string_view>

#include "lib/format.hh"

namespace kiln {

enum class log_level : u8 { error, warning, info, debug };

void log_line(log_level level, std::string_view pattern, std::span<const format_argument> arguments);

template <class... Args>
void log_at(log_level level, std::string_view pattern, const Args&... args) {
    if constexpr (sizeof...(args) == 0) {
        log_line(level, pattern, {});
    } else {
        const format_argument arguments[] = {format_argument(args)...};
        log_line(level, pattern, arguments);
    }
}
template <class... Args>
void log_error(std::string_view pattern, const Args&... args) {
    log_at(log_level::error, pattern, args...);
}
template <class... Args>
void log_warning(std::string_view pattern, const Args&... args) {
    log_at(log_level::warning, pattern, args...);
}
template <class... Args>
void log_info(std::string_view pattern, const Args&... args) {
    log_at(log_level::info, pattern, args...);
}
template <class... Args>
void log_debug(std::string_view pattern, const Args&... args) {
    log_at(log_level::debug, pattern, args...);
}

// What is shown: lines up to this level.
void set_log_level(log_level shown);

// Says why and stops the machine within a second; never returns. Takes no locks. Context: any.
[[noreturn]] void panic_line(std::string_view pattern, std::span<const format_argument> arguments);

template <class... Args>
[[noreturn]] void panic(std::string_view pattern, const Args&... args) {
    if constexpr (sizeof...(args) == 0) {
        panic_line(pattern, {});
    } else {
        const format_argument arguments[] = {format_argument(args)...};
        panic_line(pattern, arguments);
    }
}

}  // namespace kiln
