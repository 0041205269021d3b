// The command line's tokenizer: one pass over the text, no look-ahead beyond an escape.

#include "lib/cmdline.hh"

namespace kiln {
namespace {

constexpr bool is_letter(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

constexpr bool is_blank(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

class cmdline_reader {
public:
    cmdline_reader(std::string_view text, cmdline_fault& fault) : _text(text), _fault(fault) {}

    result<cmdline> read() {
        cmdline made;
        for (skip_blanks(); _at < _text.size(); skip_blanks()) {
            const u32 offset = static_cast<u32>(_at);
            vector<char> token;
            const bool quoted = TRY(read_token(token));
            const std::string_view view(token.data(), token.size());
            if (made.has_arguments) {
                string argument = TRY(string::copy(view));
                TRY(made.arguments.push_back(std::move(argument)));
            } else if (view == "--" && !quoted) {
                made.has_arguments = true;
            } else {
                cmdline_setting setting = TRY(split(view, offset));
                TRY(made.settings.push_back(std::move(setting)));
            }
        }
        return made;
    }

private:
    void skip_blanks() {
        while (_at < _text.size() && is_blank(_text[_at])) {
            ++_at;
        }
    }

    err fail(usize offset, std::string_view reason) {
        _fault = {reason, static_cast<u32>(offset)};
        return err::inval;
    }

    // Returns whether any part of the token was in quotes.
    result<bool> read_token(vector<char>& token) {
        bool quoted = false;
        while (_at < _text.size() && !is_blank(_text[_at])) {
            if (_text[_at] == '"') {
                quoted = true;
                TRY(read_quoted(token));
            } else {
                TRY(token.push_back(_text[_at++]));
            }
        }
        return quoted;
    }

    result<void> read_quoted(vector<char>& token) {
        const usize opening = _at++;
        while (_at < _text.size()) {
            char byte = _text[_at++];
            if (byte == '"') {
                return {};
            }
            if (byte == '\\') {
                byte = TRY(read_escape());
            }
            TRY(token.push_back(byte));
        }
        return fail(opening, "this quote is not closed");
    }

    result<char> read_escape() {
        const char byte = _at < _text.size() ? _text[_at] : '\0';
        if (byte != '"' && byte != '\\' && byte != 'n') {
            return fail(_at - 1, "an escape is one of \\\" \\\\ \\n");
        }
        ++_at;
        return byte == 'n' ? '\n' : byte;
    }

    result<cmdline_setting> split(std::string_view token, u32 offset) {
        const usize equals = token.find('=');
        cmdline_setting made;
        made.has_value = equals != token.npos;
        if (equals == 0 || (!made.has_value && !is_letter(token.empty() ? '\0' : token[0]))) {
            return fail(offset, "before `--` only key=value is understood");
        }
        TRY(made.key.append(token.substr(0, equals)));
        if (made.has_value) {
            TRY(made.value.append(token.substr(equals + 1)));
        }
        made.offset = offset;
        return made;
    }

    std::string_view _text;
    usize _at = 0;
    cmdline_fault& _fault;
};

}  // namespace

result<cmdline> cmdline::parse(std::string_view text, cmdline_fault& fault) {
    return cmdline_reader(text, fault).read();
}

}  // namespace kiln
