// lib/cmdline: tokens, quotes, escapes and the bare `--`.
#include "lib/cmdline.hh"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace kiln;

namespace {

using words = std::vector<std::string>;

cmdline parsed(std::string_view text) {
    cmdline_fault fault;
    auto line = cmdline::parse(text, fault);
    EXPECT_TRUE(line.ok()) << text << ": " << fault.reason << " at " << fault.offset;
    return line.take();
}

words settings(std::string_view text) {
    words found;
    const cmdline line = parsed(text);
    for (const cmdline_setting& setting : line.settings) {
        found.push_back(std::string(setting.key.view()) + " -> " +
                        std::string(setting.value.view()));
    }
    return found;
}

words arguments(std::string_view text) {
    words found;
    const cmdline line = parsed(text);
    for (const string& argument : line.arguments) {
        found.emplace_back(argument.view());
    }
    return found;
}

TEST(cmdline, an_empty_line_asks_for_nothing) {
    for (std::string_view text : {"", " ", " \t\n"}) {
        const cmdline line = parsed(text);
        EXPECT_EQ(line.settings.size(), 0u);
        EXPECT_FALSE(line.has_arguments);
    }
}

TEST(cmdline, settings_keep_order_and_offset) {
    EXPECT_EQ(settings("root=auto  ip=dhcp\tenv=A=B env= -- x=y"),
              (words{"root -> auto", "ip -> dhcp", "env -> A=B", "env -> "}));
    EXPECT_EQ(parsed("a=1   b=2").settings[1].offset, 6u);
}

TEST(cmdline, quotes_hold_blanks_together) {
    EXPECT_EQ(settings("env=\"A=b c\""), (words{"env -> A=b c"}));
    EXPECT_EQ(settings("\"env=A=b c\""), (words{"env -> A=b c"}));
    EXPECT_EQ(settings("en\"v=A=\"b\" \"c"), (words{"env -> A=b c"}));
    EXPECT_EQ(settings("x=\"\""), (words{"x -> "}));
}

TEST(cmdline, escapes_work_inside_quotes_only) {
    EXPECT_EQ(arguments("-- \"\\\"\\\\\\n\" \\n"), (words{"\"\\\n", "\\n"}));
}

TEST(cmdline, all_behind_the_bare_dashes_is_the_program) {
    EXPECT_EQ(arguments("log=info -- /bin/x --save \"\" -- a=b \"c d\""),
              (words{"/bin/x", "--save", "", "--", "a=b", "c d"}));
    EXPECT_TRUE(parsed("--").has_arguments);
    EXPECT_EQ(arguments("--"), words{});
}

TEST(cmdline, bytes_pass_unchanged) {
    std::string all;
    for (int byte = 1; byte < 256; ++byte) {
        if (byte == '"' || byte == '\\') {
            all += '\\';
        }
        all += static_cast<char>(byte);
    }
    std::string wanted;
    for (int byte = 1; byte < 256; ++byte) {
        wanted += static_cast<char>(byte);
    }
    EXPECT_EQ(arguments("-- \"" + all + "\""), words{wanted});
}

struct refusal {
    std::string_view text;
    std::string_view reason;
    u32 offset;
};

class cmdline_refuses : public testing::TestWithParam<refusal> {};

TEST_P(cmdline_refuses, with_reason_and_place) {
    cmdline_fault fault;
    EXPECT_EQ(cmdline::parse(GetParam().text, fault).error(), err::inval);
    EXPECT_EQ(fault.reason, GetParam().reason);
    EXPECT_EQ(fault.offset, GetParam().offset);
}

INSTANTIATE_TEST_SUITE_P(
    texts, cmdline_refuses,
    testing::Values(refusal{"a=1 2quiet", "before `--` only key=value is understood", 4},
                    refusal{"=x", "before `--` only key=value is understood", 0},
                    refusal{"\"--\" a", "before `--` only key=value is understood", 0},
                    refusal{"--x", "before `--` only key=value is understood", 0},
                    refusal{"a=\"b", "this quote is not closed", 2},
                    refusal{"a=\"b\\\"", "this quote is not closed", 2},
                    refusal{"a=\"\\t\"", "an escape is one of \\\" \\\\ \\n", 3},
                    refusal{"a=\"\\", "an escape is one of \\\" \\\\ \\n", 3}));

}  // namespace
