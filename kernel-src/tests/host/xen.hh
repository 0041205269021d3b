// Xen in the host tests: a test sets a function that answers hypercalls, and on_xen() holds while it is
// set. The shared page and the CPUs' blocks of events are plain memory; frames are host addresses.
#pragma once

#include "drivers/xen/hypercall.hh"
#include "drivers/xen/platform.hh"

namespace kiln::host {

struct hypercall_arguments {
    u64 a0, a1, a2, a3, a4;
};
using hypercall_model = i64 (*)(u32 number, const hypercall_arguments& arguments);

// nullptr: no Xen.
void set_hypercall_model(hypercall_model model);

// What Xen does when a CPU's upcall_pending becomes set: calls the handler, if there is one yet.
void raise_upcall();

}  // namespace kiln::host
