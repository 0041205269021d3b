// The machine under Xen, seen from the drivers. What is the machine's is in arch/x86_64/xen.cc and, for
// the host tests, in tests/host/xen.cc. All of it only when on_xen(). Context: threads, but where said.
#pragma once

#include "drivers/xen/interface.hh"
#include "lib/result.hh"

namespace kiln::xen {

shared_info& the_shared_info();
// Of a CPU by the kernel's number. Context: any.
vcpu_info& vcpu_info_of(u32 cpu);
// Xen's number of a CPU.
u32 vcpu_of(u32 cpu);

// Memory at a frame that Xen or its tools chose: mapped, cached, for ever.
result<void*> map_frame(u64 frame);

result<u64> read_param(u32 index);

// Has every CPU call `handler` when its upcall_pending becomes set.
result<void> start_upcalls(void (*handler)(void*));

// Tells Xen that the machine ends. Context: any; takes no locks. Returns when Xen does not do it.
void shut_down(shutdown_reason reason);
// Lets the host run others on this CPU. Context: any.
void give_way();

}  // namespace kiln::xen
