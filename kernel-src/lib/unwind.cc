// The unwinder: finds the frame description of an address, runs its instructions up to the address,
// and applies the rules that result.

#include "lib/unwind.hh"

#include "lib/unwind_expression.hh"
#include "lib/unwind_reader.hh"

namespace kiln {
namespace {

// A common information entry and the frame description that refers to it.
struct frame_description {
    u64 start = 0;  // of the function
    u64 size = 0;
    u64 code_alignment = 1;
    i64 data_alignment = 1;
    u64 return_register = unwind_registers::pc;
    u8 encoding = pointer_encoding::absolute;
    bool has_augmentation = false;
    bool is_signal = false;
    u64 common_at = 0, common_end = 0;  // instructions
    u64 own_at = 0, own_end = 0;
};

// No structure is longer than this; what claims to be is damaged.
constexpr u64 max_structure = 1 << 20;

// Opens the structure at `address`; .eh_frame with 64-bit lengths is not made by any linker in use.
unwind_reader open_structure(const memory_view& memory, u64 address) {
    unwind_reader reader(memory, address, address + max_structure);
    const u32 size = reader.number<u32>();
    if (size == 0 || size >= 0xfffffff0) {
        reader.fail();
    }
    reader.limit(size);
    return reader;
}

// The letters of an augmentation tell what its data hold (LSB core, 10.6.1.1.1).
void read_augmentation(const memory_view& memory, u64 letters, unwind_reader& reader,
                       frame_description& description) {
    const u64 size = reader.uleb128();
    const u64 end = reader.at() + size;
    for (u8 letter = 1; reader.ok() && memory.load(++letters, letter) && letter != 0;) {
        if (letter == 'R') {
            description.encoding = reader.number<u8>();
        } else if (letter == 'P') {
            const u8 encoding = reader.number<u8>();
            reader.pointer(encoding & ~pointer_encoding::indirect, 0);
        } else if (letter == 'L') {
            reader.number<u8>();
        } else if (letter == 'S') {
            description.is_signal = true;
        } else {
            break;  // what the letters further on mean is not needed
        }
    }
    reader.skip(end - reader.at());
}

bool read_common(const memory_view& memory, u64 address, frame_description& description) {
    unwind_reader reader = open_structure(memory, address);
    const bool is_common = reader.number<u32>() == 0;
    const u8 version = reader.number<u8>();
    if (!is_common || (version != 1 && version != 3)) {
        return false;
    }
    const u64 letters = reader.at();
    u8 first = 0;
    memory.load(letters, first);
    while (reader.ok() && reader.number<u8>() != 0) {
    }
    description.code_alignment = reader.uleb128();
    description.data_alignment = reader.sleb128();
    description.return_register = version == 1 ? reader.number<u8>() : reader.uleb128();
    if (first == 'z') {
        description.has_augmentation = true;
        read_augmentation(memory, letters, reader, description);
    } else if (first != 0) {
        return false;
    }
    description.common_at = reader.at();
    description.common_end = reader.end();
    return reader.ok() && description.return_register < unwind_registers::count;
}

bool read_description(const memory_view& memory, u64 address, frame_description& description) {
    unwind_reader reader = open_structure(memory, address);
    const u64 place = reader.at();
    const u32 back = reader.number<u32>();
    if (!reader.ok() || back == 0 || !read_common(memory, place - back, description)) {
        return false;
    }
    description.start = reader.pointer(description.encoding, 0);
    description.size = reader.pointer(description.encoding & pointer_encoding::format, 0);
    if (description.has_augmentation) {
        reader.skip(reader.uleb128());
    }
    description.own_at = reader.at();
    description.own_end = reader.end();
    return reader.ok();
}

// An entry of .eh_frame_hdr's table in the one form that linkers write.
struct table_entry {
    i32 start;
    i32 description;
};

// Binary search in the sorted table (LSB core, 10.6.2).
bool find_description(const memory_view& memory, u64 header, u64 address, u64& found) {
    unwind_reader reader(memory, header, header + 64);
    const u8 version = reader.number<u8>();
    const u8 frame_encoding = reader.number<u8>();
    const u8 count_encoding = reader.number<u8>();
    const u8 table_encoding = reader.number<u8>();
    reader.pointer(frame_encoding, header);
    const u64 count = reader.pointer(count_encoding, header);
    constexpr u8 usual = pointer_encoding::relative_to_data | pointer_encoding::sdata4;
    if (!reader.ok() || version != 1 || table_encoding != usual || count > UINT32_MAX) {
        return false;
    }
    const u64 table = reader.at();
    const auto start_of = [&](u64 index, table_entry& entry) {
        return memory.load(table + index * sizeof entry, entry);
    };
    u64 low = 0;
    u64 high = count;
    table_entry entry;
    while (low < high) {
        const u64 middle = low + (high - low) / 2;
        if (!start_of(middle, entry)) {
            return false;
        }
        if (header + static_cast<u64>(i64{entry.start}) <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || !start_of(low - 1, entry)) {
        return false;
    }
    found = header + static_cast<u64>(i64{entry.description});
    return true;
}

enum class rule_kind : u8 {
    unchanged,
    undefined,
    at_offset,
    is_offset,
    in_register,
    at_expression,
    is_expression,
};

struct rule {
    rule_kind kind = rule_kind::unchanged;
    u64 value = 0;  // offset from the frame's address, register, or where the expression is
};

// The state that the instructions build up (DWARF 5, 6.4.1: one row of the table).
struct row {
    bool by_expression = false;
    u64 frame_register = 0;
    u64 frame_offset = 0;
    u64 frame_expression = 0;
    rule rules[unwind_registers::count];
};

class frame_program {
public:
    frame_program(const memory_view& memory, const frame_description& description, u64 address)
        : _memory(memory), _description(description), _address(address) {}

    bool run() {
        if (!run_part(_description.common_at, _description.common_end)) {
            return false;
        }
        _initial = _row;
        _location = _description.start;
        return run_part(_description.own_at, _description.own_end);
    }

    const row& result() const { return _row; }

private:
    // Stops, as wanted, at the first row that begins behind the address.
    bool run_part(u64 at, u64 end) {
        unwind_reader reader(_memory, at, end);
        while (!reader.at_end()) {
            const u8 opcode = reader.number<u8>();
            if (!step(opcode, reader) || _location > _address) {
                break;
            }
        }
        return reader.ok() && !_failed;
    }

    bool fail() {
        _failed = true;
        return false;
    }

    // Moving behind the address ends the program with the row as it is.
    bool advance(u64 delta) {
        _location += delta * _description.code_alignment;
        return _location <= _address;
    }

    bool set(u64 number, rule_kind kind, u64 value = 0) {
        if (number < unwind_registers::count) {  // the others (vector registers) do not matter
            _row.rules[number] = {kind, value};
        }
        return true;
    }

    u64 factored(u64 offset) const {
        return offset * static_cast<u64>(_description.data_alignment);
    }

    bool step(u8 opcode, unwind_reader& reader) {
        const u8 low = opcode & 0x3f;
        switch (opcode >> 6) {
            case 1: return advance(low);
            case 2: return set(low, rule_kind::at_offset, factored(reader.uleb128()));
            case 3: return restore(low);
            default: return extended(low, reader);
        }
    }

    bool restore(u64 number) {
        if (number < unwind_registers::count) {
            _row.rules[number] = _initial.rules[number];
        }
        return true;
    }

    // DWARF 5, table 7.29.
    bool extended(u8 opcode, unwind_reader& reader) {
        switch (opcode) {
            case 0x00: return true;
            case 0x01: _location = reader.pointer(_description.encoding, 0); return true;
            case 0x02: return advance(reader.number<u8>());
            case 0x03: return advance(reader.number<u16>());
            case 0x04: return advance(reader.number<u32>());
            case 0x06: return restore(reader.uleb128());
            case 0x07: return set(reader.uleb128(), rule_kind::undefined);
            case 0x08: return set(reader.uleb128(), rule_kind::unchanged);
            case 0x0a: return remember();
            case 0x0b: return recall();
            case 0x0c:
            case 0x0d:
            case 0x0e:
            case 0x0f:
            case 0x12:
            case 0x13: return define_frame(opcode, reader);
            case 0x2e: reader.uleb128(); return true;  // DW_CFA_GNU_args_size
            default: return register_rule(opcode, reader);
        }
    }

    bool register_rule(u8 opcode, unwind_reader& reader) {
        const u64 number = reader.uleb128();
        switch (opcode) {
            case 0x05: return set(number, rule_kind::at_offset, factored(reader.uleb128()));
            case 0x09: return set(number, rule_kind::in_register, reader.uleb128());
            case 0x10: return expression(number, rule_kind::at_expression, reader);
            case 0x11: return set(number, rule_kind::at_offset, signed_factored(reader));
            case 0x14: return set(number, rule_kind::is_offset, factored(reader.uleb128()));
            case 0x15: return set(number, rule_kind::is_offset, signed_factored(reader));
            case 0x16: return expression(number, rule_kind::is_expression, reader);
            default: return fail();
        }
    }

    u64 signed_factored(unwind_reader& reader) const {
        return factored(static_cast<u64>(reader.sleb128()));
    }

    bool expression(u64 number, rule_kind kind, unwind_reader& reader) {
        const u64 at = reader.at();
        reader.skip(reader.uleb128());
        return set(number, kind, at);
    }

    bool define_frame(u8 opcode, unwind_reader& reader) {
        if (opcode == 0x0f) {
            _row.by_expression = true;
            _row.frame_expression = reader.at();
            reader.skip(reader.uleb128());
            return true;
        }
        _row.by_expression = false;
        if (opcode == 0x0c || opcode == 0x0d || opcode == 0x12) {
            _row.frame_register = reader.uleb128();
        }
        if (opcode == 0x0c || opcode == 0x0e) {
            _row.frame_offset = reader.uleb128();
        } else if (opcode == 0x12 || opcode == 0x13) {
            _row.frame_offset = signed_factored(reader);
        }
        return true;
    }

    bool remember() {
        if (_remembered == std::size(_memory_of_rows)) {
            return fail();
        }
        _memory_of_rows[_remembered++] = _row;
        return true;
    }

    bool recall() {
        if (_remembered == 0) {
            return fail();
        }
        _row = _memory_of_rows[--_remembered];
        return true;
    }

    const memory_view& _memory;
    const frame_description& _description;
    const u64 _address;
    u64 _location = 0;
    row _row;
    row _initial;
    row _memory_of_rows[3];  // compilers nest one deep
    usize _remembered = 0;
    bool _failed = false;
};

bool frame_address(const memory_view& memory, const row& from, const unwind_registers& registers,
                   u64& address) {
    if (from.by_expression) {
        return evaluate_expression(memory, from.frame_expression, registers, nullptr, address);
    }
    if (from.frame_register >= unwind_registers::count) {
        return false;
    }
    address = registers.value[from.frame_register] + from.frame_offset;
    return true;
}

bool apply(const memory_view& memory, const rule& wanted, u64 frame,
           const unwind_registers& registers, u64& value) {
    switch (wanted.kind) {
        case rule_kind::unchanged: return true;
        case rule_kind::undefined: value = 0; return true;
        case rule_kind::at_offset: return memory.load(frame + wanted.value, value);
        case rule_kind::is_offset: value = frame + wanted.value; return true;
        case rule_kind::in_register:
            value = wanted.value < unwind_registers::count ? registers.value[wanted.value] : 0;
            return wanted.value < unwind_registers::count;
        case rule_kind::at_expression:
            return evaluate_expression(memory, wanted.value, registers, &frame, value) &&
                   memory.load(value, value);
        case rule_kind::is_expression:
            return evaluate_expression(memory, wanted.value, registers, &frame, value);
    }
    return false;
}

}  // namespace

unwind_outcome unwind_step(const memory_view& memory, const elf_image& image,
                           unwind_registers& registers, bool& exact) {
    // A return address may lie behind its function, when the call is the last thing in it.
    const u64 address = registers.value[unwind_registers::pc] - (exact ? 0 : 1);
    u64 place = 0;
    frame_description description;
    if (image.unwind_table == 0 || !find_description(memory, image.unwind_table, address, place) ||
        !read_description(memory, place, description) ||
        address - description.start >= description.size) {
        return unwind_outcome::unknown;
    }
    frame_program program(memory, description, address);
    u64 frame = 0;
    if (!program.run() || !frame_address(memory, program.result(), registers, frame)) {
        return unwind_outcome::unknown;
    }
    const rule* rules = program.result().rules;
    if (rules[description.return_register].kind == rule_kind::undefined) {
        return unwind_outcome::outermost;
    }
    unwind_registers caller = registers;
    caller.value[unwind_registers::rsp] = frame;
    for (u32 number = 0; number < unwind_registers::count; ++number) {
        if (!apply(memory, rules[number], frame, registers, caller.value[number])) {
            return unwind_outcome::unknown;
        }
    }
    caller.value[unwind_registers::pc] = caller.value[description.return_register];
    registers = caller;
    exact = description.is_signal;
    return caller.value[unwind_registers::pc] == 0 ? unwind_outcome::outermost
                                                   : unwind_outcome::stepped;
}

}  // namespace kiln
