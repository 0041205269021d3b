#include "fs/lz4.hh"

#include <algorithm>

#include "lib/bytes.hh"

namespace kiln {
namespace {

constexpr u32 long_length = 15;
constexpr usize shortest_match = 4;
// Copies go in steps of 8 bytes and may write up to 7 too many, into room that is checked for.
constexpr usize slack = 8;

void copy_in_steps(std::byte* to, const std::byte* from, usize length) {
    for (usize done = 0; done < length; done += 8) {
        store<u64>(to + done, load<u64>(from + done));
    }
}

}  // namespace

// Makes room by delivering what is new and keeping the history.
void lz4_decoder::flush() {
    if (_at != _delivered) {
        _sink.put(_window.subspan(_delivered, _at - _delivered));
    }
    const usize keep = std::min(_at, history);
    std::copy(_window.data() + _at - keep, _window.data() + _at, _window.data());
    _at = _delivered = keep;
}

usize lz4_decoder::room() {
    if (_window.size() - _at <= slack) {
        flush();
    }
    return _window.size() - _at - slack;
}

bool lz4_decoder::take_length(u32 nibble, u64& length) {
    length = nibble;
    if (nibble != long_length) {
        return true;
    }
    u8 more = 0;
    do {
        if (_in == _in_end) {
            return false;
        }
        more = static_cast<u8>(*_in++);
        length += more;
    } while (more == 255);
    return true;
}

bool lz4_decoder::copy_literals(u64 length) {
    if (length > static_cast<u64>(_in_end - _in)) {
        return false;
    }
    length = std::min(length, left());
    while (length != 0) {
        const usize piece = std::min<u64>(length, room());
        if (piece + slack <= static_cast<usize>(_in_end - _in)) {
            copy_in_steps(_window.data() + _at, _in, piece);
        } else {
            std::copy(_in, _in + piece, _window.data() + _at);
        }
        _in += piece;
        _at += piece;
        _total += piece;
        length -= piece;
    }
    return true;
}

bool lz4_decoder::copy_match(usize distance, u64 length) {
    if (distance == 0 || distance > _total || distance > _at) {
        return false;
    }
    length = std::min(length, left());
    while (length != 0) {
        const usize piece = std::min<u64>(length, room());
        std::byte* const to = _window.data() + _at;
        if (distance >= 8) {
            copy_in_steps(to, to - distance, piece);
        } else {
            const std::byte* const from = to - distance;
            for (usize i = 0; i < piece; ++i) {
                to[i] = from[i];
            }
        }
        _at += piece;
        _total += piece;
        length -= piece;
    }
    return true;
}

result<void> lz4_decoder::decode(std::span<const std::byte> input, u64 wanted) {
    _in = input.data();
    _in_end = _in + input.size();
    _at = _delivered = 0;
    _total = 0;
    _wanted = wanted;
    while (left() != 0) {
        if (_in == _in_end) {
            return err::io;
        }
        const u32 token = static_cast<u8>(*_in++);
        u64 length = 0;
        if (!take_length(token >> 4, length) || !copy_literals(length)) {
            return err::io;
        }
        if (left() == 0) {
            break;
        }
        if (_in_end - _in < 2) {
            return err::io;
        }
        const usize distance = load<u16>(_in);
        _in += 2;
        if (!take_length(token & 15, length) || !copy_match(distance, length + shortest_match)) {
            return err::io;
        }
    }
    if (_at != _delivered) {
        _sink.put(_window.subspan(_delivered, _at - _delivered));
    }
    return {};
}

}  // namespace kiln
