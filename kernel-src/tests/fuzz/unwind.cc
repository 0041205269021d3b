// Fuzzes the unwinder and the symbol search: the input is an ELF file mapped at `base`. Nothing it
// says may crash them or keep them busy.
#include "lib/unwind.hh"

using namespace kiln;

namespace {

constexpr u64 base = 0x7f0000000000;

class mapped final : public memory_view {
public:
    mapped(const u8* data, usize size, u64 start) : _data(data), _size(size), _start(start) {}
    bool read(u64 address, void* to, usize size) const override {
        const u64 offset = address - _start;
        if (address < _start || offset > _size || size > _size - offset) {
            return false;
        }
        __builtin_memcpy(to, _data + offset, size);
        return true;
    }

private:
    const u8* _data;
    usize _size;
    u64 _start;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    if (size < 16) {
        return 0;
    }
    u64 address;
    __builtin_memcpy(&address, data, sizeof address);
    data += 8;
    size -= 8;
    char name[32];
    elf_symbol_place symbol;
    find_elf_symbol(mapped(data, size, 0), address, name, symbol);

    const mapped memory(data, size, base);
    elf_image image;
    if (!find_elf_image(memory, base, image)) {
        image.unwind_table = base;  // or there would be few inputs with a table
    }
    unwind_registers registers;
    for (u64& value : registers.value) {
        value = base + address % size;
    }
    bool exact = (address & 1) != 0;
    for (int depth = 0; depth < 16; ++depth) {
        if (unwind_step(memory, image, registers, exact) != unwind_outcome::stepped) {
            break;
        }
    }
    return 0;
}
