#include "lib/x86_code.hh"

#include "lib/bytes.hh"

namespace kiln {
namespace {

constexpr usize longest_instruction = 15;

// What follows an opcode byte.
enum operand : u8 {
    none = 0,
    modrm = 1,
    imm8 = 2,
    imm16 = 4,
    imm_z = 8,    // 4 bytes, 2 with the operand-size prefix
    imm_v = 16,   // as imm_z, 8 with REX.W
    address = 32, // 8 bytes, 4 with the address-size prefix
    invalid = 128,
};

// The one-byte opcodes, by ranges; those not named have no operands.
u8 operands_of(u8 opcode) {
    if (opcode < 0x40) {
        switch (opcode & 7) {
            case 0: case 1: case 2: case 3: return modrm;
            case 4: return imm8;
            case 5: return imm_z;
            default: return invalid;  // segment prefixes have been taken off
        }
    }
    switch (opcode) {
        case 0x60: case 0x61: case 0x82: case 0x9a: case 0xce: case 0xd4: case 0xd5: case 0xd6:
        case 0xea:
            return invalid;
        case 0x63: case 0x84: case 0x85: case 0x86: case 0x87: case 0x88: case 0x89: case 0x8a:
        case 0x8b: case 0x8c: case 0x8d: case 0x8e: case 0x8f: case 0xd0: case 0xd1: case 0xd2:
        case 0xd3: case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde:
        case 0xdf: case 0xf6: case 0xf7: case 0xfe: case 0xff:
            return modrm;
        case 0x69: case 0x81: case 0xc7: return modrm | imm_z;
        case 0x6b: case 0x80: case 0x83: case 0xc0: case 0xc1: case 0xc6: return modrm | imm8;
        case 0x68: case 0xa9: case 0xe8: case 0xe9: return imm_z;
        case 0x6a: case 0xa8: case 0xcd: case 0xe4: case 0xe5: case 0xe6: case 0xe7: case 0xeb:
            return imm8;
        case 0xa0: case 0xa1: case 0xa2: case 0xa3: return address;
        case 0xc2: case 0xca: return imm16;
        case 0xc8: return imm16 | imm8;
        default: break;
    }
    if (opcode >= 0x70 && opcode < 0x80) {
        return imm8;
    }
    if (opcode >= 0xb0 && opcode < 0xb8) {
        return imm8;
    }
    if (opcode >= 0xb8 && opcode < 0xc0) {
        return imm_v;
    }
    return opcode >= 0xe0 && opcode < 0xe4 ? imm8 : none;
}

// The opcodes behind 0f.
u8 operands_of_0f(u8 opcode) {
    switch (opcode) {
        case 0x04: case 0x0a: case 0x0c: case 0x24: case 0x25: case 0x26: case 0x27: case 0x36:
        case 0x39: case 0x3b: case 0x3c: case 0x3d: case 0x3e: case 0x3f:
            return invalid;
        case 0x05: case 0x06: case 0x07: case 0x08: case 0x09: case 0x0b: case 0x0e: case 0x30:
        case 0x31: case 0x32: case 0x33: case 0x34: case 0x35: case 0x37: case 0x77: case 0xa0:
        case 0xa1: case 0xa2: case 0xa8: case 0xa9: case 0xaa:
            return none;
        case 0x0f: case 0x70: case 0x71: case 0x72: case 0x73: case 0xa4: case 0xac: case 0xba:
        case 0xc2: case 0xc4: case 0xc5: case 0xc6:
            return modrm | imm8;
        default: break;
    }
    if (opcode >= 0x80 && opcode < 0x90) {
        return imm_z;
    }
    return opcode >= 0xc8 && opcode < 0xd0 ? none : modrm;
}

// What the opcodes of a map of VEX or EVEX have, or those behind 0f 38 and 0f 3a.
u8 operands_of_map(u32 map, u8 opcode) {
    switch (map) {
        case 1: return opcode == 0x77 ? none : operands_of_0f(opcode) | modrm;
        case 2: case 5: case 6: return modrm;
        case 3: return modrm | imm8;
        default: return invalid;
    }
}

// Reads along one instruction.
class reader {
public:
    explicit reader(std::span<const std::byte> code) : _code(code) {}

    usize length() {
        u8 operands = opcode(prefixes());
        if ((operands & invalid) != 0) {
            return 0;
        }
        if ((operands & modrm) != 0) {
            take_modrm(operands);
        }
        _at += immediate_size(operands);
        return _at <= _code.size() && _at <= longest_instruction ? _at : 0;
    }

private:
    u8 peek(usize ahead = 0) const {
        return _at + ahead < _code.size() ? static_cast<u8>(_code[_at + ahead]) : 0;
    }
    // Bytes beyond the end read as 0; length() sees that there were not enough.
    u8 next() {
        const u8 byte = peek();
        ++_at;
        return byte;
    }

    // Takes the legacy prefixes and REX off; returns the first byte of the opcode.
    u8 prefixes() {
        for (; _at < longest_instruction; ++_at) {
            switch (const u8 byte = peek(); byte) {
                case 0x66: _short_operand = true; break;
                case 0x67: _short_address = true; break;
                case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0xf0:
                case 0xf2: case 0xf3:
                    break;
                default:
                    if ((byte & 0xf0) != 0x40) {
                        return next();
                    }
                    _wide = (byte & 8) != 0;
                    ++_at;
                    return next();
            }
        }
        return 0x06;  // only prefixes: no instruction
    }

    u8 opcode(u8 first) {
        _opcode = first;
        switch (first) {
            case 0x0f: return opcode_0f();
            case 0xc5: next(); return vector_opcode(1);
            case 0xc4: {
                const u32 map = next() & 0x1f;
                next();
                return vector_opcode(map);
            }
            case 0x62: {
                const u32 map = next() & 7;
                _at += 2;
                return vector_opcode(map);
            }
            default: return operands_of(first);
        }
    }

    u8 opcode_0f() {
        const u8 second = next();
        if (second == 0x38 || second == 0x3a) {
            next();
            return operands_of_map(second == 0x38 ? 2 : 3, 0);
        }
        return operands_of_0f(second);
    }

    u8 vector_opcode(u32 map) { return operands_of_map(map, next()); }

    void take_modrm(u8& operands) {
        const u8 byte = next();
        const u32 mode = byte >> 6;
        const u32 rm = byte & 7;
        const u32 extension = byte >> 3 & 7;
        // TEST, alone in its group, has an immediate.
        if ((_opcode == 0xf6 || _opcode == 0xf7) && extension < 2) {
            operands |= _opcode == 0xf6 ? imm8 : imm_z;
        }
        // Groups with members that do not exist.
        if (((_opcode == 0xc6 || _opcode == 0xc7) && extension != 0 && byte != 0xf8) ||
            (_opcode == 0xfe && extension > 1) || (_opcode == 0xff && extension == 7) ||
            (_opcode == 0x8f && extension != 0)) {
            _at = longest_instruction + 1;
        }
        if (mode == 3) {
            return;
        }
        const bool no_base = rm == 4 && (next() & 7) == 5;
        if (mode == 1) {
            _at += 1;
        } else if (mode == 2 || rm == 5 || no_base) {
            _at += 4;
        }
    }

    usize immediate_size(u8 operands) const {
        const usize z = _short_operand && !_wide ? 2 : 4;
        return ((operands & imm8) != 0 ? 1u : 0u) + ((operands & imm16) != 0 ? 2u : 0u) +
               ((operands & imm_z) != 0 ? (is_branch() ? 4u : z) : 0u) +
               ((operands & imm_v) != 0 ? (_wide ? 8u : z) : 0u) +
               ((operands & address) != 0 ? (_short_address ? 4u : 8u) : 0u);
    }

    // Near branches ignore the operand-size prefix on Intel's CPUs.
    bool is_branch() const { return _opcode == 0xe8 || _opcode == 0xe9 || _opcode == 0x0f; }

    std::span<const std::byte> _code;
    usize _at = 0;
    u8 _opcode = 0;
    bool _short_operand = false;
    bool _short_address = false;
    bool _wide = false;
};

enum class meeting : u8 { as_instruction, as_part, never };

// Reads from `start` to the last byte.
meeting read_towards_end(std::span<const std::byte> code, usize start) {
    const usize last = code.size() - 1;
    usize at = start;
    while (at < last) {
        const usize length = x86_instruction_length(code.subspan(at));
        if (length == 0) {
            return meeting::never;
        }
        at += length;
    }
    return at == last ? meeting::as_instruction : meeting::as_part;
}

// The condition in the low four bits of Jcc's opcode (Intel SDM vol. 1, appendix B).
bool condition_holds(u8 opcode, u64 flags) {
    const auto flag = [flags](u32 bit) { return (flags >> bit & 1) != 0; };
    const bool carry = flag(0), parity = flag(2), zero = flag(6), sign = flag(7);
    const bool overflow = flag(11);
    bool holds = false;
    switch (opcode >> 1 & 7) {
        case 0: holds = overflow; break;
        case 1: holds = carry; break;
        case 2: holds = zero; break;
        case 3: holds = carry || zero; break;
        case 4: holds = sign; break;
        case 5: holds = parity; break;
        case 6: holds = sign != overflow; break;
        default: holds = zero || sign != overflow; break;
    }
    return holds != ((opcode & 1) != 0);
}

i64 signed_at(std::span<const std::byte> code, usize at, usize size) {
    return size == 1 ? load<i8>(code.data() + at) : load<i32>(code.data() + at);
}

struct branch {
    usize opcode_size = 0;  // 0: none
    usize distance_size = 0;
    bool conditional = false;
};

branch branch_at(u8 first, u8 second) {
    if (first >= 0x70 && first < 0x80) {
        return {1, 1, true};
    }
    if (first == 0x0f && second >= 0x80 && second < 0x90) {
        return {2, 4, true};
    }
    if (first == 0xeb || (first >= 0xe0 && first < 0xe4)) {
        return {1, 1, false};
    }
    return first == 0xe8 || first == 0xe9 ? branch{1, 4, false} : branch{};
}

bool one_instruction_fits(std::span<const std::byte> code) {
    const usize most = code.size() < longest_instruction ? code.size() : longest_instruction;
    for (usize length = 2; length <= most; ++length) {
        if (x86_instruction_length(code.last(length)) == length) {
            return true;
        }
    }
    return false;
}

}  // namespace

usize x86_instruction_length(std::span<const std::byte> code) {
    return reader(code).length();
}

bool may_branch_to(std::span<const std::byte> code, u64 base, u64 target, u64 flags) {
    for (usize at = 0; at + 2 <= code.size(); ++at) {
        const auto first = static_cast<u8>(code[at]);
        const auto second = static_cast<u8>(code[at + 1]);
        const branch found = branch_at(first, second);
        const usize end = at + found.opcode_size + found.distance_size;
        if (found.opcode_size == 0 || end > code.size()) {
            continue;
        }
        const i64 distance = signed_at(code, at + found.opcode_size, found.distance_size);
        const u8 condition = found.opcode_size == 2 ? second : first;
        if (base + end + static_cast<u64>(distance) == target &&
            (!found.conditional || condition_holds(condition, flags))) {
            return true;
        }
    }
    return false;
}

bool ends_with_halt(std::span<const std::byte> code) {
    if (!one_instruction_fits(code)) {
        return true;
    }
    u32 as_instruction = 0;
    u32 as_part = 0;
    for (usize start = 0; start + longest_instruction < code.size(); ++start) {
        switch (read_towards_end(code, start)) {
            case meeting::as_instruction: ++as_instruction; break;
            case meeting::as_part: ++as_part; break;
            case meeting::never: break;
        }
    }
    return as_instruction != 0 && 3 * as_part <= as_instruction;
}

}  // namespace kiln
