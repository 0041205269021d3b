// The words of the store's protocol: NUL-separated text, decimal numbers, names of errors. What comes
// from the host is taken to be anything.
#pragma once

#include <string_view>

#include "lib/format.hh"
#include "lib/string.hh"

namespace kiln::xen {

inline constexpr std::string_view nul{"\0", 1};

class number_text {
public:
    explicit number_text(u64 number) : _size(format_to(_text, "{}", number)) {}
    std::string_view view() const { return {_text, _size}; }

private:
    char _text[24];
    usize _size;
};

// Digits and nothing else; err::inval when it is none or more than `most`.
result<u64> parse_number(std::string_view text, u64 most = ~u64{0});
// Without the NUL at its end, if there is one.
std::string_view without_nul(std::string_view text);
// err::io for one that is not known.
err error_named(std::string_view text);
// Not empty, not too long, no NUL in it.
result<void> check_path(std::string_view path);
// A watch's message: path, NUL, token, NUL. The tokens that we gave are numbers.
bool split_change(std::string_view body, std::string_view& path, u32& number);
// Names, each followed by a NUL; err::badmsg when they are not such.
result<vector<string>> split_names(std::string_view body);

}  // namespace kiln::xen
