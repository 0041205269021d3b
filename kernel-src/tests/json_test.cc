// lib/json: what is taken, what is refused and where, and how values are read.
#include "lib/json.hh"

#include <gtest/gtest.h>

#include <string>

using namespace kiln;

namespace {

json_document parsed(std::string_view text) {
    json_fault fault;
    auto document = json_document::parse(text, fault);
    EXPECT_TRUE(document.ok()) << text << ": " << fault.reason << " at " << fault.offset;
    return document.take();
}

struct refusal {
    std::string_view text;
    std::string_view reason;
    u32 offset;
};

void PrintTo(const refusal& r, std::ostream* out) { *out << r.text; }

class json_refuses : public testing::TestWithParam<refusal> {};

TEST_P(json_refuses, with_reason_and_place) {
    json_fault fault;
    EXPECT_EQ(json_document::parse(GetParam().text, fault).error(), err::inval);
    EXPECT_EQ(fault.reason, GetParam().reason);
    EXPECT_EQ(fault.offset, GetParam().offset);
}

INSTANTIATE_TEST_SUITE_P(
    texts, json_refuses,
    testing::Values(
        refusal{"", "the text ends too early", 0}, refusal{"  ", "the text ends too early", 2},
        refusal{"nul", "a value was expected", 0}, refusal{"True", "a value was expected", 0},
        refusal{"[1,]", "a value was expected", 3}, refusal{"[,1]", "a value was expected", 1},
        refusal{"[1 2]", "',' or ']' was expected", 3},
        refusal{"[1}", "',' or ']' was expected", 2}, refusal{"[", "the text ends too early", 1},
        refusal{"]", "a value was expected", 0}, refusal{"{", "the text ends too early", 1},
        refusal{"{\"a\"", "the text ends too early", 4},
        refusal{"{\"a\":", "the text ends too early", 5},
        refusal{"{\"a\":1,}", "a name in quotes was expected", 7},
        refusal{"{a:1}", "a name in quotes was expected", 1},
        refusal{"{1:1}", "a name in quotes was expected", 1},
        refusal{"{\"a\" 1}", "':' was expected", 5},
        refusal{"{\"a\":1 \"b\":2}", "',' or '}' was expected", 7},
        refusal{"{\"a\":1,\"a\":2}", "this name stands in the object twice", 7},
        refusal{"{\"a\":{\"b\":1,\"\\u0062\":2}}", "this name stands in the object twice", 12},
        refusal{"1 1", "something follows the end of the value", 2},
        refusal{"{}]", "something follows the end of the value", 2},
        refusal{"01", "a number may not begin with 0", 1},
        refusal{"-", "the text ends too early", 1}, refusal{"-x", "a digit was expected", 1},
        refusal{"+1", "a value was expected", 0}, refusal{".5", "a value was expected", 0},
        refusal{"1.", "the text ends too early", 2}, refusal{"1.e1", "a digit was expected", 2},
        refusal{"1e", "the text ends too early", 2}, refusal{"[1e+]", "a digit was expected", 4},
        refusal{"NaN", "a value was expected", 0}, refusal{"'a'", "a value was expected", 0},
        refusal{"\"a", "the text ends too early", 2},
        refusal{"\"a\\", "the text ends too early", 3},
        refusal{"\"\\x\"", "this escape is not known", 2},
        refusal{"\"\\u12g4\"", "a hexadecimal digit was expected", 5},
        refusal{"\"\\u12", "the text ends too early", 5},
        refusal{"\"a\nb\"", "a control character must be escaped in a text", 2},
        refusal{"\"\\ud800\"", "half of a surrogate pair stands alone", 1},
        refusal{"\"\\udc00\"", "half of a surrogate pair stands alone", 1},
        refusal{"\"\\ud800\\u0041\"", "half of a surrogate pair stands alone", 1},
        refusal{"\"\xff\"", "this is not UTF-8", 1},
        refusal{"\"\xc0\x80\"", "this is not UTF-8", 1},
        refusal{"\"\xe0\x9f\xbf\"", "this is not UTF-8", 1},
        refusal{"\"\xed\xa0\x80\"", "this is not UTF-8", 1},
        refusal{"\"\xf4\x90\x80\x80\"", "this is not UTF-8", 1},
        refusal{"\"\xe2\x82\"", "this is not UTF-8", 1},
        refusal{std::string_view("1\0", 2), "something follows the end of the value", 1},
        refusal{"\xef\xbb\xbf{}", "a value was expected", 0},
        refusal{"// no\n1", "a value was expected", 0}));

TEST(json, reads_a_tree) {
    const json_document document = parsed(
        " {\"name\":\"redis\",\"argv\":[\"/bin/x\",\"a b\",\"\"],\"env\":{\"A\":\"1\",\"B\":\"\"},"
        "\"yes\":true,\"no\":false,\"nothing\":null,\"list\":[[],{},[1,[2]],3]} \n");
    const json_value root = document.root();
    ASSERT_TRUE(root.is(json_type::object));
    EXPECT_EQ(root.size(), 7u);
    EXPECT_EQ(root.find("name").value().as_text().value(), "redis");
    std::string joined;
    for (json_value element : root.find("argv").value().elements()) {
        joined += std::string(element.as_text().value()) + "|";
    }
    EXPECT_EQ(joined, "/bin/x|a b||");
    joined.clear();
    for (json_member member : root.find("env").value().members()) {
        joined +=
            std::string(member.name) + "=" + std::string(member.value.as_text().value()) + "|";
    }
    EXPECT_EQ(joined, "A=1|B=|");
    EXPECT_TRUE(root.find("yes").value().as_bool().value());
    EXPECT_FALSE(root.find("no").value().as_bool().value());
    EXPECT_TRUE(root.find("nothing").value().is_null());
    EXPECT_EQ(root.find("missing").error(), err::noent);
    u32 count = 0;
    for (json_value element : root.find("list").value().elements()) {
        ++count;
        EXPECT_EQ(element.size(), count == 3 ? 2u : 0u);
    }
    EXPECT_EQ(count, 4u);
}

TEST(json, offsets_point_at_names_and_values) {
    const json_document document = parsed("{\n  \"a\": 1,\n  \"b\": [true]\n}");
    std::string places;
    for (json_member member : document.root().members()) {
        places +=
            std::to_string(member.name_offset) + ":" + std::to_string(member.value.offset()) + " ";
    }
    EXPECT_EQ(places, "4:9 14:19 ");
    const text_position at = position_of("{\n  \"a\": 1,\n  \"b\": [true]\n}", 19);
    EXPECT_EQ(at.line, 3u);
    EXPECT_EQ(at.column, 8u);
}

TEST(json, decodes_escapes) {
    const json_document document = parsed(
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\u0000 \xe2\x82\xac\"");
    const std::string_view wanted(
        "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0 \xe2\x82\xac", 23);
    EXPECT_EQ(document.root().as_text().value(), wanted);
}

TEST(json, whole_numbers_fit_or_are_refused) {
    const auto as_i64 = [](std::string_view text) { return parsed(text).root().as_i64(); };
    const auto as_u64 = [](std::string_view text) { return parsed(text).root().as_u64(); };
    EXPECT_EQ(as_i64("-9223372036854775808").value(), INT64_MIN);
    EXPECT_EQ(as_i64("9223372036854775807").value(), INT64_MAX);
    EXPECT_EQ(as_i64("9223372036854775808").error(), err::range);
    EXPECT_EQ(as_i64("-9223372036854775809").error(), err::range);
    EXPECT_EQ(as_i64("-0").value(), 0);
    EXPECT_EQ(as_u64("18446744073709551615").value(), UINT64_MAX);
    EXPECT_EQ(as_u64("18446744073709551616").error(), err::range);
    EXPECT_EQ(as_u64("-1").error(), err::range);
    EXPECT_EQ(as_u64("1.0").error(), err::range);
    EXPECT_EQ(as_u64("1e3").error(), err::range);
    EXPECT_EQ(as_u64("\"1\"").error(), err::inval);
    EXPECT_EQ(parsed("-1.50E+7").root().as_text().value(), "-1.50E+7");
}

TEST(json, other_types_are_refused_not_guessed) {
    const json_document document = parsed("[\"text\",1,true,null]");
    const json_value array = document.root();
    EXPECT_EQ(array.as_text().error(), err::inval);
    EXPECT_EQ(array.as_bool().error(), err::inval);
    EXPECT_EQ(array.find("x").error(), err::noent);
    for (json_value element : array.elements()) {
        EXPECT_EQ(element.size(), 0u);
        for (json_value none : element.elements()) {
            ADD_FAILURE() << "an element in a scalar at " << none.offset();
        }
        for (json_member none : element.members()) {
            ADD_FAILURE() << "a member in a scalar: " << none.name;
        }
    }
}

std::string nested(u32 depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(json, nesting_is_bounded) {
    parsed(nested(json_document::max_depth));
    json_fault fault;
    EXPECT_EQ(json_document::parse(nested(json_document::max_depth + 1), fault).error(),
              err::inval);
    EXPECT_EQ(fault.reason, "the nesting is too deep");
    EXPECT_EQ(fault.offset, json_document::max_depth);
    EXPECT_EQ(json_document::parse(std::string(json_document::max_size, '['), fault).error(),
              err::inval);
}

std::string with_members(u32 count) {
    std::string text = "{";
    for (u32 i = 0; i < count; ++i) {
        text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":[" + std::to_string(i) + "]";
    }
    return text + "}";
}

TEST(json, members_are_bounded) {
    const json_document document = parsed(with_members(json_document::max_members));
    EXPECT_EQ(document.root().find("1023").value().size(), 1u);
    json_fault fault;
    EXPECT_EQ(json_document::parse(with_members(json_document::max_members + 1), fault).error(),
              err::inval);
    EXPECT_EQ(fault.reason, "the object has too many members");
}

TEST(json, size_is_bounded) {
    json_fault fault;
    const std::string text(json_document::max_size + 1, ' ');
    EXPECT_EQ(json_document::parse(text, fault).error(), err::too_big);
}

TEST(json, no_prefix_of_a_text_is_taken_for_the_whole) {
    const std::string text = "{\"a\":[1,-2.5e3,\"\\u00e9\\n\",true,null],\"b\":{\"c\":{}}}";
    for (usize size = 0; size < text.size(); ++size) {
        json_fault fault;
        // A copy of the exact size, so that the sanitizer sees every read behind the end.
        const std::string prefix = text.substr(0, size);
        EXPECT_EQ(json_document::parse(prefix, fault).error(), err::inval) << prefix;
        EXPECT_LE(fault.offset, size);
    }
}

}  // namespace
