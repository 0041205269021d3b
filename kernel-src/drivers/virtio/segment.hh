// What goes into a virtqueue and what comes out of it, in either of its forms.
#pragma once

#include "lib/types.hh"

namespace kiln::virtio {

inline constexpr u16 largest_queue = 1024;

// A piece of a request: physical address, and whether the device writes it.
struct segment {
    u64 address;
    u32 length;
    bool device_writes;
};

struct completion {
    void* token;
    u32 length;  // bytes that the device wrote
};

}  // namespace kiln::virtio
