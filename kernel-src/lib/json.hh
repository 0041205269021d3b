// A strict reader of JSON (RFC 8259): one text in, one read-only tree out.
//
// Strict: UTF-8 is checked, a name may not appear twice in an object, nothing may follow the value,
// and nothing beyond the grammar is taken. Numbers are whole numbers for their readers: the kernel
// has no floating point, so "1.5" parses but as_i64() refuses it.
// The document owns its text; values and views point into it and live as long as it does.
// Nesting is limited to json_document::max_depth and members of one object to max_members, so that
// no input costs more than linear memory and bounded stack. Not locked.
#pragma once

#include <string_view>

#include "lib/result.hh"
#include "lib/types.hh"
#include "lib/vector.hh"

namespace kiln {

enum class json_type : u8 { null, boolean, number, text, array, object };

// The name of a type with its article, for messages: "a number".
std::string_view describe(json_type type);

// Where in a text something is; lines and columns count from 1, columns in bytes.
struct text_position {
    u32 line = 1;
    u32 column = 1;
};
text_position position_of(std::string_view text, usize offset);

// Why a text is not JSON.
struct json_fault {
    std::string_view reason;
    u32 offset = 0;
};

class json_document;

// A value of a document: a small handle, copied freely.
class json_value {
public:
    json_type type() const;
    // Byte offset of the value in the text that was parsed.
    u32 offset() const;

    bool is(json_type wanted) const { return type() == wanted; }
    bool is_null() const { return is(json_type::null); }

    // err::inval for another type; err::range for a number that does not fit or is not whole.
    result<bool> as_bool() const;
    result<i64> as_i64() const;
    result<u64> as_u64() const;
    // Decoded; may hold NUL bytes. Of a number: as it was written.
    result<std::string_view> as_text() const;

    // Elements of an array or members of an object; 0 for the others.
    u32 size() const;

    // For `for (json_value element : array.elements())`.
    class element_range;
    element_range elements() const;

    // For `for (json_member member : object.members())`.
    class member_range;
    member_range members() const;

    // The member of this name; err::noent when there is none or this is no object.
    result<json_value> find(std::string_view name) const;

private:
    friend class json_document;
    json_value(const json_document* document, u32 index) : _document(document), _index(index) {}

    const json_document* _document;
    u32 _index;
};

struct json_member {
    std::string_view name;
    u32 name_offset;
    json_value value;
};

class json_document {
public:
    static constexpr usize max_size = 1 * MiB;
    static constexpr u32 max_depth = 64;
    static constexpr u32 max_members = 1024;

    // On err::inval `fault` says what is wrong and where; err::too_big beyond max_size; err::nomem.
    static result<json_document> parse(std::string_view text, json_fault& fault);

    json_value root() const { return {this, 0}; }

private:
    friend class json_value;
    friend class json_parser;

    // The tree in the order of the text: a container is followed by its contents up to `end`; in an
    // object each value comes right behind its name (a node of type text).
    struct node {
        json_type type;
        bool truth = false;
        u32 offset = 0;
        u32 end = 0;      // index behind the last node inside
        u32 size = 0;     // elements or members; bytes of a text
        u32 text_at = 0;  // place of a text or number in _texts
    };

    std::string_view text_of(const node& from) const {
        return {_texts.data() + from.text_at, from.size};
    }

    vector<node> _nodes;
    vector<char> _texts;  // decoded texts and the spelling of numbers, one after the other
};

class json_value::element_range {
public:
    class iterator {
    public:
        iterator(const json_document* document, u32 index) : _document(document), _index(index) {}
        json_value operator*() const { return {_document, _index}; }
        iterator& operator++();
        bool operator!=(const iterator& other) const { return _index != other._index; }

    private:
        const json_document* _document;
        u32 _index;
    };

    iterator begin() const { return {_document, _first}; }
    iterator end() const { return {_document, _end}; }

private:
    friend class json_value;
    element_range(const json_document* document, u32 first, u32 end)
        : _document(document), _first(first), _end(end) {}

    const json_document* _document;
    u32 _first;
    u32 _end;
};

class json_value::member_range {
public:
    class iterator {
    public:
        iterator(const json_document* document, u32 index) : _document(document), _index(index) {}
        json_member operator*() const;
        iterator& operator++();
        bool operator!=(const iterator& other) const { return _index != other._index; }

    private:
        const json_document* _document;
        u32 _index;
    };

    iterator begin() const { return {_document, _first}; }
    iterator end() const { return {_document, _end}; }

private:
    friend class json_value;
    member_range(const json_document* document, u32 first, u32 end)
        : _document(document), _first(first), _end(end) {}

    const json_document* _document;
    u32 _first;
    u32 _end;
};

}  // namespace kiln
