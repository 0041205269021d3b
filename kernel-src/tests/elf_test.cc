// The reader of program files and the first stack.
#include "linux/elf.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "core/user.hh"
#include "lib/bytes.hh"
#include "linux/auxv.hh"

namespace kiln {
namespace {

struct header_fields {
    u32 type = 1, flags = 5;
    u64 offset = 0, address = 0x400000, file_size = 0x200, memory_size = 0x200, alignment = 0x1000;
};

// A file made by hand: the ELF header and program headers, and nothing of the contents.
class elf_file {
public:
    elf_file() : bytes(0x400) {
        const unsigned char ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
        std::memcpy(bytes.data(), ident, sizeof ident);
        put<u16>(16, 2);
        put<u16>(18, 62);
        put<u64>(24, 0x400100);
        put<u64>(32, 64);
        put<u16>(54, 56);
    }
    template <class T>
    void put(usize offset, T value) {
        store<T>(bytes.data() + offset, value);
    }
    void add(const header_fields& fields) {
        const usize at = 64 + count * 56;
        put<u32>(at, fields.type);
        put<u32>(at + 4, fields.flags);
        put<u64>(at + 8, fields.offset);
        put<u64>(at + 16, fields.address);
        put<u64>(at + 32, fields.file_size);
        put<u64>(at + 40, fields.memory_size);
        put<u64>(at + 48, fields.alignment);
        put<u16>(56, static_cast<u16>(++count));
    }
    result<elf_program> parse() {
        const std::span<const std::byte> all(bytes);
        return parse_elf(all.first(64), all.subspan(64), bytes.size(), user_end, reason);
    }

    std::vector<std::byte> bytes;
    usize count = 0;
    const char* reason = "";
};

TEST(elf, reads_a_static_program) {
    elf_file file;
    file.add({});
    file.add({.flags = 6, .offset = 0x200, .address = 0x401200, .file_size = 0x100,
              .memory_size = 0x5000});
    file.add({.type = 0x6474e551, .flags = 6});
    auto program = file.parse();
    ASSERT_TRUE(program.ok()) << file.reason;
    EXPECT_FALSE(program.value().position_independent);
    EXPECT_EQ(program.value().entry, 0x400100u);
    EXPECT_EQ(program.value().headers_address, 0x400040u);
    EXPECT_EQ(program.value().header_count, 3);
    ASSERT_EQ(program.value().segments.size(), 2u);
    EXPECT_EQ(program.value().segments[0].protection, 5u);
    EXPECT_EQ(program.value().segments[1].protection, 3u);
    EXPECT_EQ(program.value().lowest(), 0x400000u);
    EXPECT_EQ(program.value().end(), 0x407000u);
    EXPECT_FALSE(program.value().executable_stack);
}

TEST(elf, sees_interpreter_and_executable_stack) {
    elf_file file;
    file.put<u16>(16, 3);
    file.put<u64>(24, 0x80);
    file.add({.address = 0});
    file.add({.type = 3, .offset = 0x300, .file_size = 28});
    file.add({.type = 0x6474e551, .flags = 7});
    auto program = file.parse();
    ASSERT_TRUE(program.ok()) << file.reason;
    EXPECT_TRUE(program.value().position_independent);
    EXPECT_EQ(program.value().interpreter_offset, 0x300u);
    EXPECT_EQ(program.value().interpreter_size, 28u);
    EXPECT_TRUE(program.value().executable_stack);
}

// Each case breaks one thing in a good file.
struct damage {
    const char* name;
    void (*apply)(elf_file&);
    const char* reason;
};

class elf_damage : public testing::TestWithParam<damage> {};

TEST_P(elf_damage, is_refused_with_the_reason) {
    elf_file file;
    file.add({});
    GetParam().apply(file);
    auto program = file.parse();
    ASSERT_FALSE(program.ok());
    EXPECT_EQ(program.error(), err::noexec);
    EXPECT_NE(std::string(file.reason).find(GetParam().reason), std::string::npos) << file.reason;
}

const damage damages[] = {
    {"magic", [](elf_file& f) { f.bytes[1] = std::byte{0}; }, "not an ELF file"},
    {"class_32", [](elf_file& f) { f.bytes[4] = std::byte{1}; }, "not for x86-64"},
    {"machine", [](elf_file& f) { f.put<u16>(18, 183); }, "not for x86-64"},
    {"relocatable", [](elf_file& f) { f.put<u16>(16, 1); }, "not a program"},
    {"header_size", [](elf_file& f) { f.put<u16>(54, 32); }, "no usable program headers"},
    {"no_headers", [](elf_file& f) { f.put<u16>(56, 0); }, "no usable program headers"},
    {"headers_beyond", [](elf_file& f) { f.put<u64>(32, ~u64{0} - 8); }, "beyond the end"},
    {"nothing_to_load", [](elf_file& f) { f.put<u32>(64, 4); }, "nothing to load"},
    {"file_larger", [](elf_file& f) { f.put<u64>(64 + 40, 0x100); }, "larger in the file"},
    {"segment_beyond", [](elf_file& f) { f.put<u64>(64 + 8, 0x10000); }, "beyond the end"},
    {"memory_overflow", [](elf_file& f) { f.put<u64>(64 + 40, ~u64{0} - 0x1000); }, "outside"},
    {"kernel_address", [](elf_file& f) { f.put<u64>(64 + 16, 0xffff'8000'0000'0000); }, "outside"},
    {"offset_disagrees", [](elf_file& f) { f.put<u64>(64 + 16, 0x400010); }, "disagree"},
    {"alignment", [](elf_file& f) { f.put<u64>(64 + 48, 0x3000); }, "power of two"},
    {"overlap", [](elf_file& f) { f.add({.address = 0x400000}); }, "overlap"},
    {"entry", [](elf_file& f) { f.put<u64>(24, 0x500000); }, "starts at an address"},
    {"interpreter", [](elf_file& f) { f.add({.type = 3, .offset = 0x3ff, .file_size = 20}); },
     "interpreter"},
};
INSTANTIATE_TEST_SUITE_P(each, elf_damage, testing::ValuesIn(damages),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(elf, reads_this_very_program) {
    std::ifstream self("/proc/self/exe", std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(self)), {});
    const auto all = std::as_bytes(std::span(bytes));
    const char* reason = "";
    auto place = check_elf_header(all.first(64), all.size(), reason);
    ASSERT_TRUE(place.ok()) << reason;
    auto program = parse_elf(all.first(64), all.subspan(place.value().offset), all.size(), user_end,
                             reason);
    ASSERT_TRUE(program.ok()) << reason;
    EXPECT_NE(program.value().headers_address, 0u);
    const std::string interpreter(bytes.data() + program.value().interpreter_offset);
    EXPECT_EQ(interpreter, "/lib64/ld-linux-x86-64.so.2");
}

class stack_test : public testing::Test {
protected:
    u64 word(u64 address) { return load<u64>(_image.bytes.data() + (address - _image.stack_pointer)); }
    std::string text(u64 address) {
        return reinterpret_cast<const char*>(_image.bytes.data() + (address - _image.stack_pointer));
    }
    u64 auxiliary(u64 type) {
        for (u64 at = _image.auxv_address; word(at) != auxv::null; at += 16) {
            if (word(at) == type) {
                return word(at + 8);
            }
        }
        return 0;
    }
    stack_image _image;
};

TEST_F(stack_test, holds_what_the_abi_says) {
    const std::string_view arguments[] = {"prog", "", "two words"};
    const std::string_view environment[] = {"A=1", "LONG=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    std::byte random[16] = {std::byte{7}};
    for (u64 jitter : {0, 1, 100, 8191}) {
        stack_request request;
        request.top = 0x7fff'0000'0000;
        request.jitter = jitter;
        request.executable = "/bin/prog";
        request.arguments = arguments;
        request.environment = environment;
        request.random = random;
        request.entry = 0x1234;
        request.vdso = 0x7fff'0000'1000;
        _image = build_stack(request).take();
        const u64 sp = _image.stack_pointer;
        EXPECT_EQ(sp % 16, 0u);
        EXPECT_EQ(sp + _image.bytes.size(), request.top);
        EXPECT_EQ(word(sp), 3u);
        EXPECT_EQ(text(word(sp + 8)), "prog");
        EXPECT_EQ(text(word(sp + 16)), "");
        EXPECT_EQ(text(word(sp + 24)), "two words");
        EXPECT_EQ(word(sp + 32), 0u);
        EXPECT_EQ(text(word(sp + 40)), "A=1");
        EXPECT_EQ(text(word(sp + 48)), environment[1]);
        EXPECT_EQ(word(sp + 56), 0u);
        EXPECT_EQ(_image.auxv_address, sp + 64);
        EXPECT_EQ(word(_image.auxv_address + _image.auxv_size - 16), auxv::null);
        EXPECT_EQ(auxiliary(auxv::entry), 0x1234u);
        EXPECT_EQ(auxiliary(auxv::pagesz), 4096u);
        EXPECT_EQ(auxiliary(auxv::sysinfo_ehdr), request.vdso);
        EXPECT_EQ(text(auxiliary(auxv::execfn)), "/bin/prog");
        EXPECT_EQ(text(auxiliary(auxv::platform)), "x86_64");
        EXPECT_EQ(text(auxiliary(auxv::random)).front(), 7);
        // Arguments and environment lie next to each other, as /proc/self/cmdline needs.
        EXPECT_EQ(_image.arguments_start, word(sp + 8));
        EXPECT_EQ(_image.arguments_end, word(sp + 40));
        EXPECT_EQ(_image.environment_end - _image.environment_start,
                  environment[0].size() + environment[1].size() + 2);
    }
}

TEST_F(stack_test, takes_many_long_arguments) {
    std::vector<std::string> strings(2000, std::string(100, 'x'));
    std::vector<std::string_view> arguments(strings.begin(), strings.end());
    std::byte random[16] = {};
    stack_request request;
    request.top = 0x7fff'0000'0000;
    request.arguments = arguments;
    request.random = random;
    _image = build_stack(request).take();
    EXPECT_EQ(word(_image.stack_pointer), 2000u);
    EXPECT_EQ(text(word(_image.stack_pointer + 8 * 2000)), strings[0]);
}

}  // namespace
}  // namespace kiln
