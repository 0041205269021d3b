// Text formatting without allocation: `format_to(buffer, "inode {} at {:x}", number, address)`.
//
// `{}` takes the next argument: integers, bool, char, pointers, text, err. `{:x}` is hexadecimal,
// `{:08x}` with zeros to a width, `{:o}` octal, `{:5}` padded on the left (text: on the right).
// `{{` is a brace; a closing brace is itself.
// Output that does not fit is cut; the return value is the length written, without a NUL.
#pragma once

#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

struct format_argument {
    enum class kind : u8 { unsigned_number, signed_number, text, character, pointer };

    kind type;
    u64 number = 0;
    std::string_view text = {};

    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool> && !std::same_as<T, char>)
    format_argument(T value) : type(kind::unsigned_number), number(value) {}  // NOLINT
    template <std::signed_integral T>
        requires(!std::same_as<T, char>)
    format_argument(T value) : type(kind::signed_number), number(static_cast<u64>(value)) {}  // NOLINT
    format_argument(bool value) : type(kind::text), text(value ? "true" : "false") {}  // NOLINT
    format_argument(char value) : type(kind::character), number(static_cast<u8>(value)) {}  // NOLINT
    format_argument(std::string_view value) : type(kind::text), text(value) {}  // NOLINT
    format_argument(const char* value)  // NOLINT
        : type(kind::text), text(value == nullptr ? "(null)" : value) {}
    format_argument(const void* value)  // NOLINT
        : type(kind::pointer), number(reinterpret_cast<u64>(value)) {}
    format_argument(err value)  // NOLINT
        : type(kind::signed_number), number(static_cast<u64>(static_cast<int>(value))) {}
    template <class T>
        requires std::convertible_to<const T&, std::string_view> && std::is_class_v<T>
    format_argument(const T& value) : type(kind::text), text(value) {}  // NOLINT
};

// Takes the pieces of formatted text, in order.
class text_sink {
public:
    virtual void put(std::string_view text) = 0;

protected:
    ~text_sink() = default;
};

void format_arguments(text_sink& sink, std::string_view pattern,
                      std::span<const format_argument> arguments);

template <class... Args>
void format(text_sink& sink, std::string_view pattern, const Args&... args) {
    if constexpr (sizeof...(args) == 0) {
        format_arguments(sink, pattern, {});
    } else {
        const format_argument arguments[] = {format_argument(args)...};
        format_arguments(sink, pattern, arguments);
    }
}

// Writes into a fixed buffer and cuts what does not fit.
class buffer_sink final : public text_sink {
public:
    explicit buffer_sink(std::span<char> buffer) : _buffer(buffer) {}
    void put(std::string_view text) override;
    usize size() const { return _size; }
    bool truncated() const { return _truncated; }
    std::string_view view() const { return {_buffer.data(), _size}; }

private:
    std::span<char> _buffer;
    usize _size = 0;
    bool _truncated = false;
};

template <class... Args>
usize format_to(std::span<char> buffer, std::string_view pattern, const Args&... args) {
    buffer_sink sink(buffer);
    format(sink, pattern, args...);
    return sink.size();
}

}  // namespace kiln
