#include "drivers/xen/store_text.hh"

#include "drivers/xen/xenstore.hh"

namespace kiln::xen {
namespace {

struct named_error {
    std::string_view name;
    err number;
};

constexpr named_error errors[] = {
    {"EINVAL", err::inval}, {"EACCES", err::acces}, {"EEXIST", err::exist},
    {"EISDIR", err::isdir}, {"ENOENT", err::noent}, {"ENOMEM", err::nomem},
    {"ENOSPC", err::nospc}, {"EIO", err::io}, {"ENOTEMPTY", err::notempty},
    {"ENOSYS", err::nosys}, {"EROFS", err::rofs}, {"EBUSY", err::busy},
    {"EAGAIN", err::again}, {"EISCONN", err::isconn}, {"E2BIG", err::too_big},
    {"EPERM", err::perm},
};

}  // namespace

result<u64> parse_number(std::string_view text, u64 most) {
    u64 number = 0;
    for (const char digit : text) {
        const u64 value = static_cast<u64>(digit) - '0';
        if (value > 9 || number > (most - value) / 10) {
            return err::inval;
        }
        number = number * 10 + value;
    }
    return text.empty() ? result<u64>(err::inval) : number;
}

std::string_view without_nul(std::string_view text) {
    return text.ends_with('\0') ? text.substr(0, text.size() - 1) : text;
}

err error_named(std::string_view text) {
    for (const named_error& each : errors) {
        if (without_nul(text) == each.name) {
            return each.number;
        }
    }
    return err::io;
}

result<void> check_path(std::string_view path) {
    if (path.empty() || path.find('\0') != path.npos) {
        return err::inval;
    }
    return path.size() > xenstore::longest_path ? err::nametoolong : result<void>();
}

bool split_change(std::string_view body, std::string_view& path, u32& number) {
    const usize end = body.find('\0');
    if (end == body.npos || end == 0) {
        return false;
    }
    path = body.substr(0, end);
    const result<u64> token = parse_number(without_nul(body.substr(end + 1)), ~u32{0});
    number = token.ok() ? static_cast<u32>(token.value()) : 0;
    return token.ok();
}

result<vector<string>> split_names(std::string_view body) {
    vector<string> names;
    while (!body.empty()) {
        const usize end = body.find('\0');
        if (end == body.npos || end == 0) {
            return err::badmsg;
        }
        string name = TRY(string::copy(body.substr(0, end)));
        TRY(names.push_back(std::move(name)));
        body.remove_prefix(end + 1);
    }
    return names;
}

}  // namespace kiln::xen
