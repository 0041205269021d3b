// What Xen shares with a guest, and the structures of the calls that the core of the drivers makes
// (Xen public xen.h, arch-x86/xen.h, vcpu.h, hvm/hvm_op.h, hvm/params.h, event_channel.h, sched.h,
// memory.h). 64-bit guests only.
#pragma once

#include <atomic>

#include "lib/pv_clock.hh"
#include "lib/types.hh"

namespace kiln::xen {

// One a virtual CPU. Xen sets the selector's bits and `upcall_pending`, the guest clears them.
struct alignas(64) vcpu_info {
    std::atomic<u8> upcall_pending{0};
    u8 unused[7]{};
    std::atomic<u64> pending_selector{0};
    u64 fault_address = 0;
    u64 pad = 0;
    pv_clock time{};
};
static_assert(sizeof(vcpu_info) == 64);

// The time of day when the clocks of vcpu_info were zero; `version` as theirs.
struct wall_clock {
    u32 version = 0;
    u32 seconds = 0;
    u32 nanoseconds = 0;
    u32 seconds_high = 0;
};

inline constexpr u32 legacy_vcpus = 32;
inline constexpr u32 event_words = 64;
inline constexpr u32 ports_of_two_levels = event_words * 64;

struct shared_info {
    vcpu_info vcpu[legacy_vcpus];
    std::atomic<u64> pending[event_words];
    std::atomic<u64> mask[event_words];
    wall_clock wall;
};
static_assert(sizeof(shared_info) <= page_size);

// ---- structures of calls ----
namespace version_operation {
inline constexpr u32 get_features = 6;
}
struct features_request {
    u32 part = 0;
    u32 bits = 0;
};
namespace feature {
inline constexpr u32 callback_vector = 1u << 8, safe_clock = 1u << 9;
}

namespace memory_operation {
inline constexpr u32 add_to_physmap = 7, memory_map = 9;
}
struct memory_map_request {
    u32 entries;
    u32 pad = 0;
    u64 buffer;
};
struct add_to_physmap {
    u16 domain;
    u16 size = 0;
    u32 space = 0;  // the shared info page
    u64 index = 0;
    u64 frame;
};

namespace hvm_operation {
inline constexpr u32 set_param = 0, get_param = 1, set_upcall_vector = 23;
}
struct hvm_parameter {
    u16 domain;
    u16 pad = 0;
    u32 index;
    u64 value = 0;
};
namespace hvm_param {
inline constexpr u32 callback = 0, store_frame = 1, store_port = 2, console_frame = 17,
                     console_port = 18;
}
// Values of hvm_param::callback: the kind in the top byte.
inline constexpr u64 callback_by_vector = u64{2} << 56;
// Kind 0, a line that does not exist where vectors of their own are set for all CPUs: tells the host's
// tools that event channels are in use.
inline constexpr u64 callback_by_line_1 = 1;

struct upcall_vector {
    u32 vcpu;
    u8 vector;
    u8 pad[3]{};
};

namespace vcpu_operation {
inline constexpr u32 register_vcpu_info = 10;
}
struct register_vcpu_info {
    u64 frame;
    u32 offset;
    u32 reserved = 0;
};

namespace sched_operation {
inline constexpr u32 yield = 0, shutdown = 2;
}
enum class shutdown_reason : u32 { poweroff = 0, reboot = 1, crash = 3 };
struct shutdown_request {
    shutdown_reason reason;
};

namespace event_operation {
inline constexpr u32 close = 3, send = 4, alloc_unbound = 6, bind_vcpu = 8, unmask = 9,
                     init_control = 11, expand_array = 12;
}
struct port_request {
    u32 port;
};
struct alloc_unbound {
    u16 domain;
    u16 remote;
    u32 port = 0;
};
struct bind_vcpu {
    u32 port;
    u32 vcpu;
};

}  // namespace kiln::xen
