// The JSON parser: RFC 8259's grammar with an explicit stack of open containers.
//
// Always holds: every open container's node is in _nodes and its index on the stack; _texts grows
// by at most the size of the input.

#include "lib/json.hh"

namespace kiln {
namespace {

constexpr bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

constexpr bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

constexpr int hex_digit(char byte) {
    if (is_digit(byte)) {
        return byte - '0';
    }
    const char lower = static_cast<char>(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Length of the UTF-8 sequence at the start of `text`, 0 when there is none (RFC 3629, section 4).
usize utf8_length(std::string_view text) {
    const auto at = [&](usize index) {
        return index < text.size() ? static_cast<u8>(text[index]) : 0;
    };
    const auto between = [&](usize index, u8 low, u8 high) {
        return at(index) >= low && at(index) <= high;
    };
    const u8 lead = static_cast<u8>(at(0));
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return between(1, 0x80, 0xbf) ? 2 : 0;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        const u8 low = lead == 0xe0 ? 0xa0 : 0x80;
        const u8 high = lead == 0xed ? 0x9f : 0xbf;  // no surrogates
        return between(1, low, high) && between(2, 0x80, 0xbf) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const u8 low = lead == 0xf0 ? 0x90 : 0x80;
        const u8 high = lead == 0xf4 ? 0x8f : 0xbf;
        return between(1, low, high) && between(2, 0x80, 0xbf) && between(3, 0x80, 0xbf) ? 4 : 0;
    }
    return 0;
}

result<void> append_utf8(vector<char>& to, u32 code) {
    char bytes[4];
    usize size = 0;
    const auto put = [&](u32 byte) { bytes[size++] = static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | code >> 6);
        put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(0xe0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    } else {
        put(0xf0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3f));
        put(0x80 | (code >> 6 & 0x3f));
        put(0x80 | (code & 0x3f));
    }
    return to.append(std::span<const char>(bytes, size));
}

}  // namespace

class json_parser {
public:
    json_parser(std::string_view text, json_document& document, json_fault& fault)
        : _text(text),
          _nodes(document._nodes),
          _texts(document._texts),
          _document(document),
          _fault(fault) {}

    result<void> parse() {
        skip_space();
        TRY(value());
        while (_depth > 0) {
            TRY(next_in_container());
        }
        skip_space();
        return at_end() ? result<void>() : fail("something follows the end of the value");
    }

private:
    using node = json_document::node;

    bool at_end() const { return _at == _text.size(); }
    char peek() const { return at_end() ? '\0' : _text[_at]; }

    void skip_space() {
        while (!at_end() && is_space(_text[_at])) {
            ++_at;
        }
    }

    bool take(char wanted) {
        if (at_end() || _text[_at] != wanted) {
            return false;
        }
        ++_at;
        return true;
    }

    result<void> fail_at(usize offset, std::string_view reason) {
        _fault = {reason, static_cast<u32>(offset)};
        return err::inval;
    }
    result<void> fail(std::string_view reason) {
        return fail_at(_at, at_end() ? "the text ends too early" : reason);
    }

    result<void> append(std::string_view text) {
        return _texts.append(std::span<const char>(text.data(), text.size()));
    }

    // Adds a node for what begins here; a scalar is complete at once.
    result<u32> add(json_type type) {
        const u32 index = static_cast<u32>(_nodes.size());
        node made{.type = type, .offset = static_cast<u32>(_at)};
        made.end = index + 1;
        made.text_at = static_cast<u32>(_texts.size());
        TRY(_nodes.push_back(made));
        return index;
    }

    result<void> value() {
        switch (peek()) {
            case '{': return open(json_type::object);
            case '[': return open(json_type::array);
            case '"': return text("a value was expected");
            case 't': return word("true", json_type::boolean, true);
            case 'f': return word("false", json_type::boolean, false);
            case 'n': return word("null", json_type::null, false);
            default: return number();
        }
    }

    result<void> word(std::string_view spelling, json_type type, bool truth) {
        if (_text.substr(_at, spelling.size()) != spelling) {
            return fail_at(_at, "a value was expected");
        }
        const u32 index = TRY(add(type));
        _nodes[index].truth = truth;
        _at += spelling.size();
        return {};
    }

    bool take_digits() {
        const usize first = _at;
        while (is_digit(peek())) {
            ++_at;
        }
        return _at != first;
    }

    result<void> number() {
        const usize first = _at;
        if (peek() != '-' && !is_digit(peek())) {
            return fail("a value was expected");
        }
        const u32 index = TRY(add(json_type::number));
        take('-');
        if (!take('0') && !take_digits()) {
            return fail("a digit was expected");
        }
        if (is_digit(peek())) {
            return fail("a number may not begin with 0");
        }
        if (take('.') && !take_digits()) {
            return fail("a digit was expected");
        }
        if (take('e') || take('E')) {
            if (!take('+')) {
                take('-');
            }
            if (!take_digits()) {
                return fail("a digit was expected");
            }
        }
        _nodes[index].size = static_cast<u32>(_at - first);
        return append(_text.substr(first, _at - first));
    }

    result<void> text(std::string_view expectation) {
        const u32 index = TRY(add(json_type::text));
        if (!take('"')) {
            return fail(expectation);
        }
        while (!take('"')) {
            TRY(character());
        }
        _nodes[index].size = static_cast<u32>(_texts.size() - _nodes[index].text_at);
        return {};
    }

    // A run of plain characters, or one escape.
    result<void> character() {
        if (take('\\')) {
            return escape();
        }
        const usize first = _at;
        while (!at_end() && _text[_at] != '"' && _text[_at] != '\\') {
            if (static_cast<u8>(_text[_at]) < 0x20) {
                return fail("a control character must be escaped in a text");
            }
            const usize size = utf8_length(_text.substr(_at));
            if (size == 0) {
                return fail("this is not UTF-8");
            }
            _at += size;
        }
        if (at_end()) {
            return fail("");
        }
        return append(_text.substr(first, _at - first));
    }

    result<void> escape() {
        constexpr std::string_view names = "\"\\/bfnrt";
        constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
        if (take('u')) {
            return escaped_code();
        }
        const usize which = at_end() ? names.npos : names.find(_text[_at]);
        if (which == names.npos) {
            return fail("this escape is not known");
        }
        ++_at;
        return _texts.push_back(meanings[which]);
    }

    result<void> four_digits(u32& code) {
        code = 0;
        for (int count = 0; count < 4; ++count) {
            const int digit = hex_digit(peek());
            if (digit < 0) {
                return fail("a hexadecimal digit was expected");
            }
            code = code << 4 | static_cast<u32>(digit);
            ++_at;
        }
        return {};
    }

    // \uXXXX, or two of them that are a surrogate pair (RFC 8259, section 7).
    result<void> escaped_code() {
        const usize first = _at - 2;
        u32 code = 0;
        TRY(four_digits(code));
        if (code >= 0xd800 && code <= 0xdfff) {
            u32 low = 0;
            if (code >= 0xdc00 || !take('\\') || !take('u')) {
                return fail_at(first, "half of a surrogate pair stands alone");
            }
            TRY(four_digits(low));
            if (low < 0xdc00 || low > 0xdfff) {
                return fail_at(first, "half of a surrogate pair stands alone");
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        return append_utf8(_texts, code);
    }

    result<void> open(json_type type) {
        if (_depth == json_document::max_depth) {
            return fail("the nesting is too deep");
        }
        _stack[_depth] = TRY(add(type));
        ++_depth;
        ++_at;
        return {};
    }

    // Takes the next element or member of the innermost container, or closes it.
    result<void> next_in_container() {
        const u32 container = _stack[_depth - 1];
        const bool is_object = _nodes[container].type == json_type::object;
        skip_space();
        if (take(is_object ? '}' : ']')) {
            _nodes[container].end = static_cast<u32>(_nodes.size());
            --_depth;
            return {};
        }
        if (_nodes[container].size > 0) {
            if (!take(',')) {
                return fail(is_object ? "',' or '}' was expected" : "',' or ']' was expected");
            }
            skip_space();
        }
        ++_nodes[container].size;
        return is_object ? member(container) : value();
    }

    result<void> member(u32 object) {
        const u32 name = static_cast<u32>(_nodes.size());
        TRY(text("a name in quotes was expected"));
        TRY(check_name(object, name));
        skip_space();
        if (!take(':')) {
            return fail("':' was expected");
        }
        skip_space();
        return value();
    }

    result<void> check_name(u32 object, u32 name) {
        const usize offset = _nodes[name].offset;
        if (_nodes[object].size > json_document::max_members) {
            return fail_at(offset, "the object has too many members");
        }
        const std::string_view wanted = _document.text_of(_nodes[name]);
        for (u32 other = object + 1; other != name; other = _nodes[other + 1].end) {
            if (_document.text_of(_nodes[other]) == wanted) {
                return fail_at(offset, "this name stands in the object twice");
            }
        }
        return {};
    }

    std::string_view _text;
    usize _at = 0;
    vector<node>& _nodes;
    vector<char>& _texts;
    const json_document& _document;
    json_fault& _fault;
    u32 _depth = 0;
    u32 _stack[json_document::max_depth] = {};
};

result<json_document> json_document::parse(std::string_view text, json_fault& fault) {
    if (text.size() > max_size) {
        fault = {"the text is too long", static_cast<u32>(max_size)};
        return err::too_big;
    }
    json_document document;
    TRY(json_parser(text, document, fault).parse());
    return document;
}

}  // namespace kiln
