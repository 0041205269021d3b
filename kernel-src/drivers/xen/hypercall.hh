// Calls to Xen, and what every part of the drivers needs of its interface (Xen's public headers,
// xen/include/public; the files are named where their facts are used).
//
// A hypercall's structures lie anywhere in the kernel's memory: Xen walks the page tables. Everything
// that Xen keeps a reference to is named by its frame number. Context of hypercall: any.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::xen {

// Whether this machine is a guest of Xen and the hypercalls work. False before
// arch/x86_64/xen_platform.cc has looked, and in host tests until a model is set (tests/host/xen.hh).
bool on_xen();

// As Xen answers: negative numbers are errors. Only when on_xen().
i64 hypercall(u32 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0);

// Numbers (xen.h).
namespace call {
inline constexpr u32 memory_op = 12, console_io = 18, grant_table_op = 20, vcpu_op = 24, sched_op = 29,
                     event_channel_op = 32, hvm_op = 34;
}

// "This domain", where one is named.
inline constexpr u16 domain_self = 0x7ff0;

// Xen's error numbers are Linux's.
inline result<void> outcome_of(i64 answer) {
    return answer < 0 ? result<void>(static_cast<err>(-answer)) : result<void>();
}

// A call with an operation and a structure, which is what nearly all are. The answer is outcome_of's.
template <class Structure>
result<void> call_with(u32 number, u32 operation, Structure& structure) {
    return outcome_of(hypercall(number, operation, reinterpret_cast<u64>(&structure)));
}

// The number of the frame that holds an address of the direct map or of the kernel image; 4 KiB each.
// The host tests give the address itself, shifted.
u64 frame_of(const void* memory);

}  // namespace kiln::xen
