// An owned byte string with fallible growth, always followed by a NUL that size() does not count.
#pragma once

#include <string_view>

#include "lib/result.hh"
#include "lib/vector.hh"

namespace kiln {

class string {
public:
    constexpr string() = default;

    static result<string> copy(std::string_view text) {
        string made;
        TRY(made.append(text));
        return made;
    }

    result<void> append(std::string_view text) {
        // The first allocation fits exactly, as most strings never grow; later ones double.
        const usize needed = _bytes.size() + text.size() + 1;
        if (needed > _bytes.capacity()) {
            const usize doubled = 2 * _bytes.capacity();
            TRY(_bytes.reserve(needed > doubled ? needed : doubled));
        }
        if (!_bytes.empty()) {
            _bytes.pop_back();
        }
        TRY(_bytes.append({text.data(), text.size()}));
        return _bytes.push_back('\0');
    }
    result<void> append(char byte) { return append(std::string_view(&byte, 1)); }

    usize size() const { return _bytes.empty() ? 0 : _bytes.size() - 1; }
    bool empty() const { return size() == 0; }
    const char* c_str() const { return _bytes.empty() ? "" : _bytes.data(); }
    char* data() { return _bytes.data(); }
    std::string_view view() const { return {c_str(), size()}; }
    operator std::string_view() const { return view(); }  // NOLINT
    void clear() { _bytes.clear(); }
    void truncate(usize wanted) {
        if (wanted < size()) {
            _bytes.truncate(wanted + 1);
            _bytes[wanted] = '\0';
        }
    }

private:
    vector<char> _bytes;
};

}  // namespace kiln
