#include "lib/format.hh"

#include <algorithm>

namespace kiln {
namespace {

struct field_spec {
    usize width = 0;
    bool zero_fill = false;
    u32 base = 10;
};

field_spec parse_spec(std::string_view text) {
    field_spec spec;
    if (!text.empty() && text.front() == ':') {
        text.remove_prefix(1);
    }
    if (!text.empty() && text.front() == '0') {
        spec.zero_fill = true;
    }
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        spec.width = spec.width * 10 + static_cast<usize>(text.front() - '0');
        text.remove_prefix(1);
    }
    if (!text.empty() && text.front() == 'x') {
        spec.base = 16;
    } else if (!text.empty() && text.front() == 'o') {
        spec.base = 8;
    }
    return spec;
}

void put_fill(text_sink& sink, char fill, usize count) {
    while (count-- > 0) {
        sink.put({&fill, 1});
    }
}

void put_number(text_sink& sink, u64 magnitude, bool negative, const field_spec& spec) {
    char digits[66];
    char* const end = digits + sizeof(digits);
    char* at = end;
    do {
        *--at = "0123456789abcdef"[magnitude % spec.base];
        magnitude /= spec.base;
    } while (magnitude != 0);
    usize length = static_cast<usize>(end - at) + (negative ? 1 : 0);
    const usize fill = spec.width > length ? spec.width - length : 0;
    if (!spec.zero_fill) {
        put_fill(sink, ' ', fill);
    }
    if (negative) {
        sink.put("-");
    }
    if (spec.zero_fill) {
        put_fill(sink, '0', fill);
    }
    sink.put({at, static_cast<usize>(end - at)});
}

void put_text(text_sink& sink, std::string_view text, const field_spec& spec) {
    sink.put(text);
    put_fill(sink, ' ', spec.width > text.size() ? spec.width - text.size() : 0);
}

void put_argument(text_sink& sink, const format_argument& argument, const field_spec& spec) {
    using kind = format_argument::kind;
    switch (argument.type) {
        case kind::unsigned_number:
            put_number(sink, argument.number, false, spec);
            break;
        case kind::signed_number: {
            const bool negative = static_cast<i64>(argument.number) < 0;
            put_number(sink, negative ? 0 - argument.number : argument.number, negative, spec);
            break;
        }
        case kind::text:
            put_text(sink, argument.text, spec);
            break;
        case kind::character: {
            const char byte = static_cast<char>(argument.number);
            put_text(sink, {&byte, 1}, spec);
            break;
        }
        case kind::pointer:
            sink.put("0x");
            put_number(sink, argument.number, false, {.width = spec.width, .zero_fill = true, .base = 16});
            break;
    }
}

}  // namespace

void format_arguments(text_sink& sink, std::string_view pattern,
                      std::span<const format_argument> arguments) {
    usize next = 0;
    while (!pattern.empty()) {
        const usize open = std::min(pattern.find('{'), pattern.size());
        sink.put(pattern.substr(0, open));
        pattern.remove_prefix(open);
        if (pattern.starts_with("{{")) {
            sink.put("{");
            pattern.remove_prefix(2);
            continue;
        }
        const usize close = pattern.find('}');
        if (pattern.empty() || close == std::string_view::npos) {
            sink.put(pattern);
            return;
        }
        if (next < arguments.size()) {
            put_argument(sink, arguments[next++], parse_spec(pattern.substr(1, close - 1)));
        } else {
            sink.put(pattern.substr(0, close + 1));
        }
        pattern.remove_prefix(close + 1);
    }
}

void buffer_sink::put(std::string_view text) {
    const usize room = _buffer.size() - _size;
    const usize taken = std::min(room, text.size());
    std::copy_n(text.data(), taken, _buffer.data() + _size);
    _size += taken;
    _truncated = _truncated || taken < text.size();
}

}  // namespace kiln
