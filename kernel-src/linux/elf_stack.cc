#include "linux/auxv.hh"

#include <algorithm>

namespace kiln {
namespace {

constexpr std::string_view platform_name = "x86_64";

// Fills the image from its end downwards, as a stack is.
class stack_writer {
public:
    stack_writer(vector<u8>& bytes, u64 top) : _bytes(bytes), _top(top), _at(bytes.size()) {}

    u64 push(const void* from, usize size) {
        _at -= size;
        if (size != 0) {
            __builtin_memcpy(_bytes.data() + _at, from, size);
        }
        return address();
    }
    u64 push_string(std::string_view text) {
        skip(1);
        return push(text.data(), text.size());
    }
    void push_word(u64 value) { push(&value, sizeof value); }
    void skip(usize size) { _at -= size; }
    void align(usize alignment) { _at -= address() & (alignment - 1); }
    u64 address() const { return _top - (_bytes.size() - _at); }
    usize position() const { return _at; }

private:
    vector<u8>& _bytes;
    u64 _top;
    usize _at;
};

usize strings_size(std::span<const std::string_view> strings) {
    usize sum = 0;
    for (std::string_view text : strings) {
        sum += text.size() + 1;
    }
    return sum;
}

// Upwards: each pushed string's address goes to a list for the pointers.
result<void> push_strings(stack_writer& to, std::span<const std::string_view> strings,
                          vector<u64>& addresses) {
    TRY(addresses.resize(strings.size()));
    for (usize i = strings.size(); i-- > 0;) {
        addresses[i] = to.push_string(strings[i]);
    }
    return {};
}

void push_pointers(stack_writer& to, const vector<u64>& addresses) {
    to.push_word(0);
    for (usize i = addresses.size(); i-- > 0;) {
        to.push_word(addresses[i]);
    }
}

}  // namespace

result<stack_image> build_stack(const stack_request& request) {
    constexpr usize fixed_part = 2048;  // auxiliary vector, counts, alignment
    stack_image image;
    const usize strings = strings_size(request.arguments) + strings_size(request.environment) +
                          request.executable.size() + 1;
    const usize pointers = (request.arguments.size() + request.environment.size() + 2) * sizeof(u64);
    TRY(image.bytes.resize(align_up(strings + pointers + request.jitter + fixed_part, page_size)));
    stack_writer to(image.bytes, request.top);
    vector<u64> arguments;
    vector<u64> environment;

    to.push_word(0);
    const u64 executable = to.push_string(request.executable);
    image.environment_end = to.address();
    TRY(push_strings(to, request.environment, environment));
    image.environment_start = image.arguments_end = to.address();
    TRY(push_strings(to, request.arguments, arguments));
    image.arguments_start = to.address();
    to.skip(request.jitter);
    to.align(16);
    const u64 platform = to.push_string(platform_name);
    const u64 random = to.push(request.random.data(), request.random.size());

    const u64 vector_words[][2] = {
        {auxv::sysinfo_ehdr, request.vdso},
        {auxv::minsigstksz, request.signal_stack_minimum},
        {auxv::hwcap, request.hwcap},
        {auxv::pagesz, page_size},
        {auxv::clktck, 100},
        {auxv::phdr, request.program_headers},
        {auxv::phent, 56},
        {auxv::phnum, request.header_count},
        {auxv::base, request.interpreter_base},
        {auxv::flags, 0},
        {auxv::entry, request.entry},
        {auxv::uid, 0},
        {auxv::euid, 0},
        {auxv::gid, 0},
        {auxv::egid, 0},
        {auxv::secure, 0},
        {auxv::random, random},
        {auxv::hwcap2, request.hwcap2},
        {auxv::execfn, executable},
        {auxv::platform, platform},
        {auxv::null, 0},
    };
    // The stack pointer, where argc will be, is a multiple of 16.
    const usize below = sizeof vector_words + pointers + sizeof(u64);
    to.align(16);
    to.skip((16 - below % 16) % 16);
    image.auxv_address = to.push(vector_words, sizeof vector_words);
    image.auxv_size = sizeof vector_words;
    push_pointers(to, environment);
    push_pointers(to, arguments);
    to.push_word(request.arguments.size());
    image.stack_pointer = to.address();

    // Only what is used stays.
    const usize unused = to.position();
    const usize size = image.bytes.size() - unused;
    __builtin_memmove(image.bytes.data(), image.bytes.data() + unused, size);
    image.bytes.truncate(size);
    return image;
}

}  // namespace kiln
