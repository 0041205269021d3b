// A stack machine for the operations of DWARF 5, section 2.5, that occur in unwind tables: no
// branches, so every expression ends.

#include "lib/unwind_expression.hh"

#include "lib/unwind_reader.hh"

namespace kiln {
namespace {

constexpr usize max_stack = 16;

class expression_machine {
public:
    expression_machine(const memory_view& memory, const unwind_registers& registers)
        : _memory(memory), _registers(registers) {}

    void push(u64 value) {
        if (_size == max_stack) {
            _ok = false;
            return;
        }
        _stack[_size++] = value;
    }

    u64 pop() {
        if (_size == 0) {
            _ok = false;
            return 0;
        }
        return _stack[--_size];
    }

    bool run(unwind_reader& reader) {
        while (_ok && !reader.at_end()) {
            step(reader.number<u8>(), reader);
        }
        return _ok && reader.ok();
    }

private:
    void step(u8 operation, unwind_reader& reader) {
        if (operation >= 0x30 && operation <= 0x4f) {  // DW_OP_lit0 …
            push(operation - 0x30u);
        } else if (operation >= 0x70 && operation <= 0x8f) {  // DW_OP_breg0 …
            push_register(operation - 0x70u, static_cast<u64>(reader.sleb128()));
        } else if (operation >= 0x08 && operation <= 0x11) {
            push_constant(operation, reader);
        } else if (operation == 0x06) {  // DW_OP_deref
            u64 value = 0;
            _ok = _ok && _memory.load(pop(), value);
            push(value);
        } else if (operation == 0x12) {  // DW_OP_dup
            const u64 value = pop();
            push(value);
            push(value);
        } else if (operation == 0x13) {  // DW_OP_drop
            pop();
        } else if (operation == 0x23) {  // DW_OP_plus_uconst
            push(pop() + reader.uleb128());
        } else if (operation != 0x96) {  // DW_OP_nop
            combine(operation);
        }
    }

    void push_register(u64 number, u64 offset) {
        if (number >= unwind_registers::count) {
            _ok = false;
            return;
        }
        push(_registers.value[number] + offset);
    }

    void push_constant(u8 operation, unwind_reader& reader) {
        switch (operation) {
            case 0x08: return push(reader.number<u8>());
            case 0x09: return push(static_cast<u64>(i64{reader.number<i8>()}));
            case 0x0a: return push(reader.number<u16>());
            case 0x0b: return push(static_cast<u64>(i64{reader.number<i16>()}));
            case 0x0c: return push(reader.number<u32>());
            case 0x0d: return push(static_cast<u64>(i64{reader.number<i32>()}));
            case 0x10: return push(reader.uleb128());
            case 0x11: return push(static_cast<u64>(reader.sleb128()));
            default: return push(reader.number<u64>());  // const8u, const8s
        }
    }

    void combine(u8 operation) {
        const u64 right = pop();
        const u64 left = pop();
        switch (operation) {
            case 0x1a: return push(left & right);
            case 0x1c: return push(left - right);
            case 0x1e: return push(left * right);
            case 0x21: return push(left | right);
            case 0x22: return push(left + right);
            case 0x24: return push(right < 64 ? left << right : 0);
            case 0x25: return push(right < 64 ? left >> right : 0);
            case 0x27: return push(left ^ right);
            default: return compare(operation, static_cast<i64>(left), static_cast<i64>(right));
        }
    }

    void compare(u8 operation, i64 left, i64 right) {
        switch (operation) {
            case 0x29: return push(left == right);
            case 0x2a: return push(left >= right);
            case 0x2b: return push(left > right);
            case 0x2c: return push(left <= right);
            case 0x2d: return push(left < right);
            case 0x2e: return push(left != right);
            default: _ok = false;
        }
    }

    const memory_view& _memory;
    const unwind_registers& _registers;
    u64 _stack[max_stack] = {};
    usize _size = 0;
    bool _ok = true;
};

}  // namespace

bool evaluate_expression(const memory_view& memory, u64 place, const unwind_registers& registers,
                         const u64* initial, u64& value) {
    constexpr u64 longest = 4096;
    unwind_reader reader(memory, place, place + longest);
    reader.limit(reader.uleb128());
    expression_machine machine(memory, registers);
    if (initial != nullptr) {
        machine.push(*initial);
    }
    if (!machine.run(reader)) {
        return false;
    }
    value = machine.pop();
    return true;
}

}  // namespace kiln
