// kernel only: see exec.hh. The layout of the address space (which areas lie where, by how many bits
// they are moved at random) is Linux's on x86-64 with 28 bits of mmap entropy, since programs such as
// the JVM rely on it.
#include "linux/exec.hh"

#include "core/entropy.hh"
#include "core/log.hh"
#include "fs/damage.hh"
#include "fs/stat.hh"
#include "fs/vfs.hh"
#include "linux/auxv.hh"
#include "linux/elf.hh"
#include "linux/signal_frame.hh"
#include "linux/vdso_image.hh"
#include "mm/address_space.hh"
#include "mm/shrinker.hh"

namespace kiln {
namespace {

constexpr u64 program_base = 0x5555'5555'4000;  // ELF_ET_DYN_BASE: two thirds of the space
constexpr u64 mmap_random_bits = 28, stack_random_bits = 22, brk_random_range = 0x0200'0000;
constexpr u64 stack_reserve = 132 * KiB;  // how much of the stack is mapped at first

u64 random_pages(u64 bits) {
    return (random_u64() & ((u64{1} << bits) - 1)) << page_shift;
}

// A program file, open and understood.
struct loaded_file {
    ref<file> open;
    ref<vm_object> pages;
    elf_program program;
    u64 bias = 0;

    u64 entry() const { return program.entry + bias; }
};

result<usize> read_at(file& from, u64 offset, std::span<std::byte> to) {
    usize done = 0;
    while (done < to.size()) {
        auto target = io_vector::kernel(to.data() + done, to.size() - done);
        u64 position = offset + done;
        const usize got = TRY(from.read(target, position));
        if (got == 0) {
            break;
        }
        done += got;
    }
    return done;
}

err refuse(sentence& why, std::string_view path, std::string_view reason, err error) {
    why.set("{} {}", path, reason);
    return error;
}

// What the file system said to an operation on the file.
template <class T>
result<T> explained(result<T> outcome, sentence& why, std::string_view path) {
    if (!outcome.ok()) {
        why.set("{}", path);
        add_reason(why, outcome.error());
    }
    return outcome;
}

result<void> check_runnable(std::string_view path, file& open, file_status& status,
                            sentence& why) {
    TRY(open.status(status));
    if (!is_regular(status.mode)) {
        return refuse(why, path, "is not a file", err::acces);
    }
    if ((status.mode & 0111) == 0) {
        return refuse(why, path, "is not executable", err::acces);
    }
    return {};
}

result<elf_program> read_program(std::string_view path, file& open, u64 size, sentence& why) {
    std::byte header[elf_header_size] = {};
    const usize got = TRY(explained(read_at(open, 0, header), why, path));
    if (got >= 2 && header[0] == std::byte{'#'} && header[1] == std::byte{'!'}) {
        return refuse(why, path, "is a script; name its interpreter as the program and the script as its "
                            "argument", err::noexec);
    }
    const char* reason = "";
    auto place = check_elf_header({header, got}, size, reason);
    if (!place.ok()) {
        return refuse(why, path, reason, place.error());
    }
    vector<std::byte> headers;
    TRY(headers.resize(place.value().size));
    TRY(explained(read_at(open, place.value().offset, headers), why, path));
    auto program = parse_elf({header, got}, headers, size, user_end, reason);
    if (!program.ok()) {
        return refuse(why, path, reason, program.error());
    }
    return program;
}

result<loaded_file> open_program(std::string_view path, sentence& why) {
    loaded_file made;
    made.open = TRY(explained(open_path(path, open_flag::rdonly), why, path));
    file_status status;
    TRY(check_runnable(path, *made.open, status, why));
    made.program = TRY(read_program(path, *made.open, status.size, why));
    made.pages = TRY(made.open->mapping(false));
    return made;
}

result<string> interpreter_path(const loaded_file& program) {
    string path;
    vector<std::byte> bytes;
    TRY(bytes.resize(program.program.interpreter_size));
    const usize got = TRY(read_at(*program.open, program.program.interpreter_offset, bytes));
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), got);
    TRY(path.append(text.substr(0, text.find('\0'))));
    return path;
}

// --- segments ---

result<void> zero_tail(u64 from, u64 to) {
    static constexpr std::byte zeros[256] = {};
    while (from < to) {
        const usize length = std::min<u64>(sizeof zeros, to - from);
        TRY(the_address_space().write_memory(from, {zeros, length}, true));
        from += length;
    }
    return {};
}

result<void> map_segment(const loaded_file& from, const elf_segment& segment) {
    auto& space = the_address_space();
    const u64 address = segment.address + from.bias;
    const u64 start = align_down(address, page_size);
    const u64 file_end = address + segment.file_size;
    const u64 end = align_up(address + segment.memory_size, page_size);
    u64 mapped_end = start;
    if (segment.file_size != 0) {
        map_request request;
        request.address = start;
        request.length = align_up(file_end, page_size) - start;
        request.protection = segment.protection;
        request.where = placement::fixed;
        request.object = from.pages;
        request.backing = from.open;
        request.offset = align_down(segment.offset, page_size);
        TRY(space.map(std::move(request)));
        mapped_end = align_up(file_end, page_size);
        // To the end of the page: ld.so takes its first memory from behind its bss, and trusts it.
        if (segment.memory_size > segment.file_size) {
            TRY(zero_tail(file_end, mapped_end));
        }
    }
    if (mapped_end < end) {
        map_request request;
        request.address = mapped_end;
        request.length = end - mapped_end;
        request.protection = segment.protection;
        request.where = placement::fixed;
        TRY(space.map(std::move(request)));
    }
    return {};
}

// A free range for all of the file at a place that mmap would choose.
result<u64> choose_range(const elf_program& program) {
    auto& space = the_address_space();
    map_request request;
    request.length = program.end() - program.lowest() + program.alignment - page_size;
    request.protection = prot::none;
    const u64 length = request.length;
    const u64 found = TRY(space.map(std::move(request)));
    TRY(space.unmap(found, length));
    return align_up(found, program.alignment);
}

result<void> map_program(loaded_file& from) {
    for (const elf_segment& segment : from.program.segments) {
        TRY(map_segment(from, segment));
    }
    return {};
}

// --- layout ---

void choose_mmap_base(u64& stack_top) {
    auto& space = the_address_space();
    stack_top = user_end - random_pages(stack_random_bits);
    const u64 most_random = ((u64{1} << stack_random_bits) << page_shift) + stack_gap;
    u64 gap = std::min(space.limits.stack.load(), user_end / 6 * 5 - most_random);
    gap = std::max<u64>(gap + most_random, 128 * MiB);
    space.layout.mmap_base = align_down(user_end - gap - random_pages(mmap_random_bits), page_size);
}

void note_segments(const loaded_file& program) {
    program_layout& layout = the_address_space().layout;
    layout.code_start = ~u64{0};
    for (const elf_segment& segment : program.program.segments) {
        const u64 start = segment.address + program.bias;
        const u64 file_end = start + segment.file_size;
        layout.code_start = std::min(layout.code_start, start);
        if ((segment.protection & prot::exec) != 0) {
            layout.code_end = std::max(layout.code_end, file_end);
        }
        layout.data_start = std::max(layout.data_start, start);
        layout.data_end = std::max(layout.data_end, file_end);
    }
    const bool is_loader = program.program.position_independent &&
                           program.program.interpreter_size == 0;
    const u64 brk = is_loader ? program_base : program.program.end() + program.bias;
    layout.brk_start = layout.brk =
        align_up(brk + random_u64() % brk_random_range, page_size);
}

result<void> place_program(loaded_file& program) {
    if (program.program.position_independent) {
        const u64 low = program.program.lowest();
        program.bias = program.program.interpreter_size != 0
                           ? align_down(program_base + random_pages(mmap_random_bits),
                                        program.program.alignment) - low
                           : TRY(choose_range(program.program)) - low;
    }
    return map_program(program);
}

// Returns the address at which ld.so was loaded.
result<u64> place_interpreter(const loaded_file& program, u64& entry, sentence& why) {
    string path = TRY(interpreter_path(program));
    loaded_file interpreter = TRY(open_program(path, why));
    if (interpreter.program.position_independent) {
        interpreter.bias = TRY(choose_range(interpreter.program)) - interpreter.program.lowest();
    }
    TRY(explained(map_program(interpreter), why, path));
    entry = interpreter.entry();
    return interpreter.bias;
}

// --- stack ---

u64 hardware_capabilities() {
    u32 eax = 1, ebx = 0, ecx = 0, edx = 0;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return edx;
}

// What a signal frame needs at the most, which is what Linux says on the same CPU: its figure covers
// the frames of 32-bit programs, which are larger than ours.
u64 signal_stack_minimum() {
    constexpr u64 frame = 736 + 112, alignment = 63 + 15;
    static_assert(frame >= sizeof(user_rt_sigframe));
    return align_up(frame + alignment + signal_vector_size(), 16);
}

result<void> map_stack(u64 top, u64 size, bool executable) {
    map_request request;
    request.length = align_up(std::min(size + stack_reserve, std::max<u64>(
                                  size + 4 * page_size, the_address_space().limits.stack.load())),
                              page_size);
    request.address = top - request.length;
    request.protection = prot::read | prot::write | (executable ? prot::exec : 0u);
    request.flags = vma_flag::grows_down;
    request.where = placement::fixed_noreplace;
    TRY(the_address_space().map(std::move(request)));
    return {};
}

void note_stack(const stack_image& image, u64 top) {
    program_layout& layout = the_address_space().layout;
    layout.stack_start = image.stack_pointer;
    layout.stack_top = top;
    layout.arguments_start = image.arguments_start;
    layout.arguments_end = image.arguments_end;
    layout.environment_start = image.environment_start;
    layout.environment_end = image.environment_end;
    layout.auxv_address = image.auxv_address;
    layout.auxv_size = image.auxv_size;
}

result<u64> make_stack(const program_request& request, std::string_view executable,
                       const loaded_file& program, u64 top, u64 interpreter_base) {
    std::byte random[16];
    random_bytes(random);
    stack_request wanted;
    wanted.top = top;
    wanted.jitter = random_u64() % 8192;
    wanted.executable = executable;
    wanted.arguments = request.arguments;
    wanted.environment = request.environment;
    wanted.random = random;
    wanted.program_headers = program.program.headers_address + program.bias;
    wanted.header_count = program.program.header_count;
    wanted.interpreter_base = interpreter_base;
    wanted.entry = program.entry();
    wanted.vdso = TRY(map_vdso(top));
    wanted.hwcap = hardware_capabilities();
    // Not HWCAP2_FSGSBASE: whoever may write FS by that flag may write GS, which is the kernel's.
    wanted.hwcap2 = 0;
    wanted.signal_stack_minimum = signal_stack_minimum();
    stack_image image = TRY(build_stack(wanted));
    TRY(map_stack(top, image.bytes.size(), program.program.executable_stack));
    note_stack(image, top);
    TRY(the_address_space().write_memory(
        image.stack_pointer, std::as_bytes(std::span<const u8>(image.bytes.data(), image.bytes.size()))));
    return image.stack_pointer;
}

// --- which file ---

std::string_view search_path(const program_request& request) {
    constexpr std::string_view variable = "PATH=";
    for (std::string_view entry : request.environment) {
        if (entry.starts_with(variable)) {
            return entry.substr(variable.size());
        }
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

// The path of the program's file.
result<string> find_program(const program_request& request, sentence& why) {
    if (request.path.find('/') != std::string_view::npos) {
        return string::copy(request.path);
    }
    std::string_view rest = search_path(request);
    while (!rest.empty()) {
        const usize colon = std::min(rest.find(':'), rest.size());
        string candidate = TRY(string::copy(rest.substr(0, colon)));
        rest.remove_prefix(std::min(colon + 1, rest.size()));
        TRY(candidate.append(candidate.empty() ? "./" : "/"));
        TRY(candidate.append(request.path));
        if (open_path(candidate, open_flag::rdonly).ok()) {
            return candidate;
        }
    }
    why.set("there is no {} in PATH", request.path);
    return err::noent;
}

}  // namespace

result<void> load_program(const program_request& request, program_start& out, sentence& why) {
    the_address_space().start(root_table());
    TRY(start_memory_reclaim());
    string path = TRY(find_program(request, why));
    loaded_file program = TRY(open_program(path, why));
    u64 stack_top = 0;
    choose_mmap_base(stack_top);
    TRY(explained(place_program(program), why, path));
    note_segments(program);
    the_address_space().executable = program.open;
    out.rip = program.entry();
    u64 interpreter_base = 0;
    if (program.program.interpreter_size != 0) {
        interpreter_base = TRY(place_interpreter(program, out.rip, why));
    }
    out.rsp = TRY(make_stack(request, path, program, stack_top, interpreter_base));
    log_debug("{} lies at {:x}, its interpreter at {:x}, entry {:x}", path, program.bias,
              interpreter_base, out.rip);
    return {};
}

}  // namespace kiln
