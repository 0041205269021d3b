// x87/SSE/AVX registers of a thread, in the format of XSAVE (Intel SDM vol. 1, 13.4): what signal
// frames hold. The kernel itself uses none of them.
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

// Bytes of the state in its standard (not compacted) format on this machine: 512 when only FXSAVE
// is enabled, else the size XSAVE needs for the enabled features, without Linux's 4 bytes of
// magic2.
usize vector_state_size();
// The features enabled in XCR0; 3 (x87 and SSE) when XSAVE is not enabled.
u64 vector_state_features();
bool vector_state_uses_xsave();

// Stores the current thread's registers, or loads them; the area is aligned to 64 bytes, in kernel
// memory and of vector_state_size(). load refuses what XRSTOR would fault on (err::inval).
void store_vector_state(std::span<std::byte> area);
result<void> load_vector_state(std::span<std::byte> area);
// The state in which a program starts.
void reset_vector_state();

}  // namespace kiln
