// Chooses among the ways of saving vector registers. What CPUID promises says nothing about their
// cost: on a real CPU XSAVEC does it in fewer than a hundred cycles, on the emulator each of
// XSAVE's forms takes over a microsecond and plain moves win by far. So each is tried at boot,
// first for whether it brings every register back, then for how long it takes.
#include "arch/x86_64/vector_routines.hh"

#include <algorithm>

#include "arch/x86_64/msr.hh"
#include "core/log.hh"
#include "lib/bytes.hh"

namespace kiln {

constinit vector_machine the_vectors;

namespace {

constexpr u64 cr4_osxsave = u64{1} << 18;
constexpr usize largest_area = 4096;
constexpr u32 timed_rounds = 8;
constexpr u32 xsave_leaf = 0xd;
constexpr usize legacy_registers = 32;        // where ST0 lies; x87 up to 160, SSE up to 416
constexpr usize legacy_registers_end = 416;
constexpr usize avx_offset = 576;

alignas(64) constinit std::byte image[largest_area]{};
alignas(64) constinit std::byte scratch[largest_area]{};
alignas(64) constinit std::byte found[largest_area]{};

void save_by_fxsave(std::byte* area) {
    asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}
void restore_by_fxsave(const std::byte* area) {
    asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}
void save_by_xsave(std::byte* area) {
    asm volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}
void save_by_xsaveopt(std::byte* area) {
    asm volatile("xsaveopt64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}
void save_by_xsavec(std::byte* area) {
    asm volatile("xsavec64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}
void restore_by_xsave(const std::byte* area) {
    asm volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}
void save_by_moves(std::byte* area) {
    vector_save_by_moves(area, the_vectors.xsave ? the_vectors.features : 0);
}
void restore_by_moves(const std::byte* area) {
    vector_restore_by_moves(area, the_vectors.xsave ? the_vectors.features : 0);
}

struct routine {
    const char* name;
    void (*save)(std::byte*);
    void (*restore)(const std::byte*);
    bool (*usable)();
};

bool has_xsave_form(u32 bit) {
    return the_vectors.xsave && (cpuid(xsave_leaf, 1).eax >> bit & 1) != 0;
}

bool moves_suffice() {
    return (the_vectors.features & ~(xfeature::legacy | xfeature::avx)) == 0 &&
           ((the_vectors.features & xfeature::avx) == 0 || cpuid(xsave_leaf, 2).ebx == avx_offset);
}

constexpr routine routines[] = {
    {"XSAVEC", save_by_xsavec, restore_by_xsave, [] { return has_xsave_form(1); }},
    {"XSAVEOPT", save_by_xsaveopt, restore_by_xsave, [] { return has_xsave_form(0); }},
    {"XSAVE", save_by_xsave, restore_by_xsave, [] { return the_vectors.xsave; }},
    {"FXSAVE", save_by_fxsave, restore_by_fxsave, [] { return !the_vectors.xsave; }},
    {"moves", save_by_moves, restore_by_moves, moves_suffice},
};

u64 wanted_features() {
    const cpuid_result offered = cpuid(xsave_leaf);
    const u64 all = u64{offered.edx} << 32 | offered.eax;
    u64 features = xfeature::legacy | (all & xfeature::avx);
    // AVX-512 is enabled as a whole and with AVX, or not at all (Intel SDM vol. 1, 13.3).
    if ((all & (xfeature::avx512 | xfeature::avx)) == (xfeature::avx512 | xfeature::avx)) {
        features |= xfeature::avx512;
    }
    return features;
}

u32 supported_mxcsr() {
    save_by_fxsave(found);
    const u32 mask = load<u32>(found + vector_mxcsr_offset + 4);
    return mask == 0 ? 0xffbf : mask;
}

void measure_machine() {
    the_vectors.mxcsr_mask = supported_mxcsr();
    if (!the_vectors.xsave) {
        return;
    }
    the_vectors.standard_size = cpuid(xsave_leaf).ebx;
    the_vectors.area_size = std::max<usize>(the_vectors.standard_size, cpuid(xsave_leaf, 1).ebx);
    if (the_vectors.area_size > largest_area) {
        panic("vector registers take {} bytes, more than expected", the_vectors.area_size);
    }
}

// ---- trying a routine ----

// Calls `act(offset, size)` on each part of an area in the standard format that holds registers.
template <class Act>
void for_each_part(Act act) {
    act(legacy_registers, legacy_registers_end - legacy_registers);
    for (u32 bit = 2; bit < 63; ++bit) {
        if ((the_vectors.features >> bit & 1) != 0) {
            const cpuid_result part = cpuid(xsave_leaf, bit);
            act(part.ebx, part.eax);
        }
    }
}

// Registers that hold something: with `all`, in every part; else as most programs leave them, with
// values in the SSE registers only.
void make_image(bool all) {
    make_initial_vectors(image, largest_area);
    const auto mark = [](usize offset, usize size) {
        for (usize i = offset; i < offset + size; ++i) {
            image[i] = static_cast<std::byte>(1 + i % 251);
        }
    };
    if (all) {
        for_each_part(mark);
        for (usize at = legacy_registers + 10; at < 160; at += 16) {
            std::fill_n(image + at, 6, std::byte{0});  // x87 registers have 10 bytes
        }
        image[4] = std::byte{0xff};  // abridged tags: none is empty
    } else {
        mark(160, legacy_registers_end - 160);
    }
    if (the_vectors.xsave) {
        store<u64>(image + vector_legacy_size, all ? the_vectors.features : xfeature::legacy);
    }
}

bool brings_back(const routine& tried, bool all) {
    make_image(all);
    std::fill_n(scratch, largest_area, std::byte{0});
    restore_standard_vectors(image);
    tried.save(scratch);
    make_initial_vectors(found, largest_area);
    restore_standard_vectors(found);
    tried.restore(scratch);
    std::fill_n(found, largest_area, std::byte{0});
    save_standard_vectors(found);
    bool same = load<u64>(image) << 24 == load<u64>(found) << 24;  // control, status, tags
    for_each_part([&](usize offset, usize size) {
        same = same && std::equal(image + offset, image + offset + size, found + offset);
    });
    return same;
}

u64 cost_of(const routine& tried) {
    make_image(false);
    restore_standard_vectors(image);
    u64 best = ~u64{0};
    for (u32 round = 0; round < timed_rounds; ++round) {
        const u64 start = read_tsc();
        tried.save(scratch);
        tried.restore(scratch);
        best = std::min(best, read_tsc() - start);
        // XSAVEOPT is not to profit from nothing having changed in between.
        asm volatile("movaps %xmm1, %xmm0; movaps %xmm3, %xmm2");
    }
    return best;
}

}  // namespace

void find_vector_features() {
    the_vectors.xsave = (cpuid(1).ecx & 1u << 26) != 0;
    if (the_vectors.xsave) {
        the_vectors.features = wanted_features();
    }
}

void enable_vector_features() {
    if (the_vectors.xsave) {
        write_cr4(read_cr4() | cr4_osxsave);
        asm volatile("xsetbv" : : "c"(0), "a"(static_cast<u32>(the_vectors.features)), "d"(0));
    }
}

void choose_vector_routines() {
    measure_machine();
    u64 least = ~u64{0};
    for (const routine& tried : routines) {
        if (!tried.usable()) {
            continue;
        }
        if (!brings_back(tried, true) || !brings_back(tried, false)) {
            log_warning("{} does not keep the vector registers on this CPU", tried.name);
            continue;
        }
        if (const u64 cost = cost_of(tried); cost < least) {
            least = cost;
            the_vectors.save = tried.save;
            the_vectors.restore = tried.restore;
            the_vectors.name = tried.name;
        }
    }
    if (the_vectors.name == nullptr) {
        panic("no way to save the vector registers works on this CPU");
    }
    the_vectors.by_moves = the_vectors.save == save_by_moves;
}

void save_standard_vectors(std::byte* area) {
    the_vectors.xsave ? save_by_xsave(area) : save_by_fxsave(area);
}

void restore_standard_vectors(const std::byte* area) {
    the_vectors.xsave ? restore_by_xsave(area) : restore_by_fxsave(area);
}

void make_initial_vectors(std::byte* area, usize size) {
    std::fill_n(area, size, std::byte{0});
    store<u16>(area, default_x87_control);
    store<u32>(area + vector_mxcsr_offset, default_mxcsr);
}

}  // namespace kiln
