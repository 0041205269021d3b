// A sentence for a human in a fixed buffer: why something outside the kernel cannot be used.
// What does not fit is cut. Not locked; copying is plain.
#pragma once

#include <string_view>

#include "lib/format.hh"

namespace kiln {

class sentence {
public:
    template <class... Args>
    void set(std::string_view pattern, const Args&... args) {
        _size = 0;
        add(pattern, args...);
    }

    template <class... Args>
    void add(std::string_view pattern, const Args&... args) {
        _size += format_to(std::span<char>(_text + _size, sizeof _text - _size), pattern, args...);
    }

    std::string_view view() const { return {_text, _size}; }
    bool empty() const { return _size == 0; }
    operator std::string_view() const { return view(); }  // NOLINT

private:
    usize _size = 0;
    char _text[320] = {};
};

}  // namespace kiln
