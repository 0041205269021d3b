// The values of a JSON document: types, conversions, iteration. The parser is in json_parser.cc.

#include "lib/json.hh"

namespace kiln {
namespace {

// The digits of a whole number in JSON's grammar; false when it does not fit or is not whole.
bool read_magnitude(std::string_view digits, u64& value) {
    value = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') {
            return false;
        }
        if (__builtin_mul_overflow(value, u64{10}, &value) ||
            __builtin_add_overflow(value, static_cast<u64>(digit - '0'), &value)) {
            return false;
        }
    }
    return true;
}

}  // namespace

std::string_view describe(json_type type) {
    switch (type) {
        case json_type::null: return "null";
        case json_type::boolean: return "true or false";
        case json_type::number: return "a number";
        case json_type::text: return "a text";
        case json_type::array: return "a list";
        case json_type::object: return "an object";
    }
    return "nothing";
}

text_position position_of(std::string_view text, usize offset) {
    text_position at;
    for (const char byte : text.substr(0, offset)) {
        if (byte == '\n') {
            ++at.line;
            at.column = 1;
        } else {
            ++at.column;
        }
    }
    return at;
}

json_type json_value::type() const { return _document->_nodes[_index].type; }

u32 json_value::offset() const { return _document->_nodes[_index].offset; }

result<bool> json_value::as_bool() const {
    if (!is(json_type::boolean)) {
        return err::inval;
    }
    return _document->_nodes[_index].truth;
}

result<std::string_view> json_value::as_text() const {
    if (!is(json_type::text) && !is(json_type::number)) {
        return err::inval;
    }
    return _document->text_of(_document->_nodes[_index]);
}

result<u64> json_value::as_u64() const {
    if (!is(json_type::number)) {
        return err::inval;
    }
    u64 value = 0;
    if (!read_magnitude(TRY(as_text()), value)) {
        return err::range;
    }
    return value;
}

result<i64> json_value::as_i64() const {
    if (!is(json_type::number)) {
        return err::inval;
    }
    std::string_view digits = TRY(as_text());
    const bool negative = digits[0] == '-';
    if (negative) {
        digits.remove_prefix(1);
    }
    u64 magnitude = 0;
    if (!read_magnitude(digits, magnitude) || magnitude > u64{INT64_MAX} + (negative ? 1 : 0)) {
        return err::range;
    }
    return static_cast<i64>(negative ? 0 - magnitude : magnitude);
}

u32 json_value::size() const {
    const bool container = is(json_type::array) || is(json_type::object);
    return container ? _document->_nodes[_index].size : 0;
}

json_value::element_range json_value::elements() const {
    const u32 end = is(json_type::array) ? _document->_nodes[_index].end : _index + 1;
    return {_document, _index + 1, end};
}

json_value::member_range json_value::members() const {
    const u32 end = is(json_type::object) ? _document->_nodes[_index].end : _index + 1;
    return {_document, _index + 1, end};
}

result<json_value> json_value::find(std::string_view name) const {
    for (const json_member member : members()) {
        if (member.name == name) {
            return member.value;
        }
    }
    return err::noent;
}

json_value::element_range::iterator& json_value::element_range::iterator::operator++() {
    _index = _document->_nodes[_index].end;
    return *this;
}

json_member json_value::member_range::iterator::operator*() const {
    const json_document::node& name = _document->_nodes[_index];
    return {_document->text_of(name), name.offset, {_document, _index + 1}};
}

json_value::member_range::iterator& json_value::member_range::iterator::operator++() {
    _index = _document->_nodes[_index + 1].end;
    return *this;
}

}  // namespace kiln
