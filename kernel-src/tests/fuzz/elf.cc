// Any bytes as a program file: the reader must refuse them or promise what elf.hh says.
#include "linux/elf.hh"

#include <cstdlib>

#include "core/user.hh"

namespace {

using namespace kiln;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void check_promises(const elf_program& program, u64 file_size) {
    require(!program.segments.empty());
    u64 reached = 0;
    for (const elf_segment& segment : program.segments) {
        require(segment.address >= reached && segment.memory_size <= user_end - segment.address);
        require(segment.file_size <= segment.memory_size);
        require(segment.offset <= file_size && segment.file_size <= file_size - segment.offset);
        reached = segment.address + segment.memory_size;
    }
    require(program.interpreter_size <= file_size - program.interpreter_offset);
    require(program.lowest() < program.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
    const auto header = file.first(std::min<usize>(size, elf_header_size));
    const char* reason = nullptr;
    auto place = check_elf_header(header, size, reason);
    if (!place.ok()) {
        require(reason != nullptr);
        return 0;
    }
    const auto headers = file.subspan(place.value().offset, place.value().size);
    auto program = parse_elf(header, headers, size, user_end, reason);
    if (program.ok()) {
        check_promises(program.value(), size);
    } else {
        require(reason != nullptr);
    }
    return 0;
}
