// Which vector registers this machine has, and how they are saved and restored.
//
// XCR0 enables x87, SSE, AVX and AVX-512 where the CPU has them; protection keys and AMX stay off,
// so their instructions are undefined as on a CPU without them. Where there is no XSAVE it is x87
// and SSE in FXSAVE's format.
//
// A saved area holds the legacy region (512 bytes), the XSAVE header (64) and what follows of the
// features, either in the standard or in the compacted format (Intel SDM vol. 1, 13.4): whichever
// `save` writes, `restore` reads both. Areas are aligned to 64 bytes and zeroed when they are made,
// because XSAVE leaves most of its header as it was.
//
// Context: interrupts off, but where a function says otherwise.
#pragma once

#include "lib/types.hh"

namespace kiln {

namespace xfeature {
inline constexpr u64 x87 = 1, sse = 2, avx = 4, opmask = 0x20, zmm_high = 0x40, zmm_more = 0x80;
inline constexpr u64 legacy = x87 | sse, avx512 = opmask | zmm_high | zmm_more;
}

inline constexpr usize vector_legacy_size = 512;
inline constexpr usize vector_header_size = 64;
inline constexpr usize vector_mxcsr_offset = 24;
inline constexpr u32 default_mxcsr = 0x1f80;
inline constexpr u16 default_x87_control = 0x37f;

struct vector_machine {
    u64 features = xfeature::legacy;
    usize standard_size = vector_legacy_size;  // of an area in the standard format
    usize area_size = vector_legacy_size + vector_header_size;  // enough for any routine
    u32 mxcsr_mask = 0xffbf;
    bool xsave = false;
    bool by_moves = false;  // the chosen routines are vector_save_by_moves and its counterpart
    void (*save)(std::byte* area) = nullptr;
    void (*restore)(const std::byte* area) = nullptr;
    const char* name = nullptr;
};
extern vector_machine the_vectors;

// What the CPU has; once, before the others. Then enables it on the calling CPU.
void find_vector_features();
void enable_vector_features();
// Measures the routines and fills in the_vectors; once, on the boot CPU, after the above. Leaves
// the registers in an undefined state.
void choose_vector_routines();

// The two formats that signal frames and programs know, by the CPU's own instructions.
void save_standard_vectors(std::byte* area);
void restore_standard_vectors(const std::byte* area);
// The state in which a program starts, in the first `size` bytes of an area.
void make_initial_vectors(std::byte* area, usize size);

}  // namespace kiln

// vector_moves.S: x87, SSE and AVX in the standard format by plain moves. `features` are those that
// XCR0 enables; 0 where there is no XSAVE.
extern "C" {
void vector_save_by_moves(std::byte* area, kiln::u64 features);
void vector_restore_by_moves(const std::byte* area, kiln::u64 features);
}
