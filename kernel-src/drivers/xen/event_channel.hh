// Event channels: one-bit messages between domains (Xen public event_channel.h).
//
// A port belongs to whoever allocated it. It comes out masked and without a handler; attach gives it
// both and opens it. A handler runs in interrupt context on the CPU it was attached to, with interrupts
// off, after its pending bit has been cleared: an event that arrives meanwhile calls it again. Like any
// interrupt handler it only acknowledges and wakes, and it must stand being called for nothing.
//
// Context: threads, but for notify, mask and unmask: any.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::xen::event_channel {

using handler_function = void (*)(void* of);

// Events are delivered from now on. Once, before anything else here.
result<void> start();

// A port that `remote_domain` may bind to.
result<u32> allocate_unbound(u16 remote_domain);

// From now on events of `port` call `handler(of)` on `cpu`. What came before is delivered at once. A
// port that has a handler is first given back, or only moved to another CPU, with the same two.
result<void> attach(u32 port, handler_function handler, void* of, u32 cpu);

// The other side gets an event.
void notify(u32 port);

// No handler is called while a port is masked; what comes is delivered at unmask.
void mask(u32 port);
void unmask(u32 port);

// Gives the port back. After it returned the handler is not running and runs no more. Not from a handler.
void close(u32 port);

// What an upcall does: calls the handlers of what is pending for this CPU. Context: interrupts.
void deliver();

}  // namespace kiln::xen::event_channel
