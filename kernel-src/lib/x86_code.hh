// Lengths of x86-64 instructions (Intel SDM vol. 2, chapter 2 and appendix A), and what can be said
// with them about the instruction before an address. Context: any.
#pragma once

#include <span>

#include "lib/types.hh"

namespace kiln {

// Of the instruction with which `code` begins; 0 where it is none or reaches beyond the end.
usize x86_instruction_length(std::span<const std::byte> code);

// Whether the last byte of `code`, which is 0xf4, was executed as `hlt`, given that the instruction
// pointer now stands behind it. Code cannot be read backwards; but where an instruction ends with
// that byte, it begins at one of the 14 bytes before, and reading from any true beginning further
// up leads to it, as does, sooner or later, reading from a wrong one. So the answer is yes where no
// such instruction fits, or where at most a quarter of the readings from further up meet the byte
// as part of one. (In libc, libstdc++ and Python it is never less than six tenths of them where it
// is no `hlt`, and at most two where it is.) `code` holds up to halt_window bytes.
inline constexpr usize halt_window = 64;
bool ends_with_halt(std::span<const std::byte> code);

// Whether some direct branch in `code`, which lies at `base`, leads to `target` with these flags: a
// program that stands there may have come by it, not from the instruction before. Every byte is
// taken for a possible beginning.
inline constexpr usize longest_branch = 6;
bool may_branch_to(std::span<const std::byte> code, u64 base, u64 target, u64 flags);

}  // namespace kiln
