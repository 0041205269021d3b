// Xen's own interface: CPUID leaves and the register of the hypercall page (Xen public
// arch-x86/cpuid.h), the shared page, and each virtual CPU's block of events and time.
//
// The shared page is laid over a frame of conventional memory below 1 MiB. Nobody else uses that: the
// page allocator never gets any of it, the firmware's is used up, of the loader's all is copied that is
// kept, and the only other page of it in use is the one from which CPUs start (smp.cc). The memory that
// was behind the frame goes back to Xen. A frame of the kernel's or of a hole among devices would do too,
// but the first would split a 2 MiB page of the host's tables that is much used, and which holes there
// are, a guest cannot know.
//
// Each CPU's block of events is registered, because the shared page has room for 32 only. A CPU's number
// at Xen is not the kernel's: CPUs get theirs in the order in which they come.
#include "arch/x86_64/xen.hh"

#include <algorithm>

#include "arch/x86_64/hypervisor.hh"
#include "arch/x86_64/interrupts.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/ports.hh"
#include "core/clock.hh"
#include "core/console.hh"
#include "core/log.hh"
#include "core/page.hh"
#include "core/thread.hh"
#include "drivers/xen/hypercall.hh"
#include "drivers/xen/platform.hh"

extern "C" char hypercall_page[];

namespace kiln::xen {
namespace {

constexpr u64 shared_frame = 0x9;
constexpr u32 hypercall_size = 32;
constexpr u32 version_call = 17;

// CPUID leaves, counted from where Xen's begin.
constexpr u32 version_leaf = 1, registers_leaf = 2, time_leaf = 3, hvm_leaf = 4;
constexpr u32 vcpu_number_told = 1u << 3;

struct cpu_state {
    u32 vcpu = 0;
    vcpu_info* info = nullptr;
};

struct platform_state {
    bool works = false;
    u32 base = 0;
    u32 features = 0;
    shared_info* shared = nullptr;
    cpu_state cpus[max_cpus]{};
};
constinit platform_state platform;
constinit vcpu_info registered[max_cpus];

u32 read_features() {
    features_request request;
    const i64 answer = hypercall(version_call, version_operation::get_features,
                                 reinterpret_cast<u64>(&request));
    return answer < 0 ? 0 : request.bits;
}

result<void> map_shared_info() {
    add_to_physmap request{.domain = domain_self, .frame = shared_frame};
    TRY(call_with(call::memory_op, memory_operation::add_to_physmap, request));
    platform.shared = static_cast<shared_info*>(phys_to_virt(shared_frame << page_shift));
    return {};
}

// Old versions do not tell a CPU its number; there the local APIC's is twice that.
u32 vcpu_here() {
    const cpuid_result leaf = cpuid(platform.base + hvm_leaf);
    const bool told = cpuid(platform.base).eax >= platform.base + hvm_leaf &&
                      (leaf.eax & vcpu_number_told) != 0;
    return told ? leaf.ebx : (cpuid(1).ebx >> 24) / 2;
}

result<void> set_param(u32 index, u64 value) {
    hvm_parameter request{.domain = domain_self, .index = index, .value = value};
    return call_with(call::hvm_op, hvm_operation::set_param, request);
}

result<void> set_upcall_vector(u32 vcpu, u32 vector) {
    upcall_vector request{.vcpu = vcpu, .vector = static_cast<u8>(vector)};
    return call_with(call::hvm_op, hvm_operation::set_upcall_vector, request);
}

// Xen's log shows what is written there, if it is set to show guests' lines.
void put_on_debug_port(std::string_view text) {
    constexpr u16 debug_port = 0xe9;
    for (const char byte : text) {
        out8(debug_port, static_cast<u8>(byte));
    }
}

bool clock_is_usable() {
    return platform.works && (platform.features & feature::safe_clock) != 0;
}

// A clock of zeros where it cannot be used. On the boot CPU.
pv_clock read_clock() {
    if (!clock_is_usable()) {
        return {};
    }
    pv_clock copy = read_versioned(vcpu_info_of(0).time).value_or({});
    return is_usable(copy) ? copy : pv_clock{};
}

}  // namespace

bool on_xen() {
    return platform.works;
}

i64 hypercall(u32 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4) {
    const char* entry = hypercall_page + usize{number} * hypercall_size;
    register u64 fourth asm("r10") = a3;
    register u64 fifth asm("r8") = a4;
    i64 answer;
    asm volatile("call *%[entry]"
                 : "=a"(answer), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(fourth), "+r"(fifth)
                 : [entry] "r"(entry)
                 : "rcx", "r9", "r11", "memory");
    return answer;
}

u64 frame_of(const void* memory) {
    return virt_to_phys(memory) >> page_shift;
}

void find() {
    platform.base = find_hypervisor("XenVMMXenVMM");
    if (platform.base != 0) {
        write_msr(cpuid(platform.base + registers_leaf).ebx, virt_to_phys(hypercall_page));
        set_other_output(&put_on_debug_port);
    }
}

u32 read_memory_map(std::span<memory_entry> to) {
    memory_map_request request{.entries = static_cast<u32>(to.size()),
                               .buffer = reinterpret_cast<u64>(to.data())};
    const bool told = platform.base != 0 &&
                      call_with(call::memory_op, memory_operation::memory_map, request).ok();
    return told ? std::min(request.entries, static_cast<u32>(to.size())) : 0;
}

void platform_init() {
    if (platform.base == 0) {
        return;
    }
    platform.features = read_features();
    if (!map_shared_info().ok()) {
        log_error("xen: the shared page cannot be mapped; its devices and events are not used");
        return;
    }
    // Nothing is delivered before it is asked for.
    for (auto& word : platform.shared->mask) {
        word.store(~u64{0}, std::memory_order_relaxed);
    }
    platform.works = true;
    cpu_start(0);
    const u32 version = cpuid(platform.base + version_leaf).eax;
    log_info("xen: version {}.{}, features {:x}, this is virtual CPU {}", version >> 16,
             version & 0xffff, platform.features, platform.cpus[0].vcpu);
}

void cpu_start(u32 cpu) {
    if (!platform.works) {
        return;
    }
    cpu_state& me = platform.cpus[cpu];
    me.vcpu = vcpu_here();
    register_vcpu_info request{.frame = frame_of(&registered[cpu]),
                               .offset = static_cast<u32>(virt_to_phys(&registered[cpu]) % page_size)};
    const i64 answer = hypercall(call::vcpu_op, vcpu_operation::register_vcpu_info, me.vcpu,
                                 reinterpret_cast<u64>(&request));
    if (answer >= 0) {
        me.info = &registered[cpu];
    } else if (me.vcpu < legacy_vcpus) {
        me.info = &platform.shared->vcpu[me.vcpu];
    } else {
        log_error("xen: CPU {} has no block of events (error {}); it gets none", cpu, -answer);
    }
}

shared_info& the_shared_info() {
    return *platform.shared;
}

vcpu_info& vcpu_info_of(u32 cpu) {
    vcpu_info* info = platform.cpus[cpu].info;
    return info != nullptr ? *info : registered[cpu];
}

u32 vcpu_of(u32 cpu) {
    return platform.cpus[cpu].vcpu;
}

result<void*> map_frame(u64 frame) {
    const u64 address = TRY(reserve_dynamic(page_size));
    TRY(map_kernel_page(address, frame << page_shift, kernel_mapping::data));
    return reinterpret_cast<void*>(address);
}

// By a vector of each CPU's local APIC, or, on versions before 4.6, by one that Xen itself injects.
// The second needs no end of interrupt; the one that the entry path sends finds nothing in service then,
// because the kernel takes no interrupt while it handles another.
result<void> start_upcalls(void (*handler)(void*)) {
    const u32 vector = TRY(allocate_interrupt_vector(handler, nullptr, 0));
    if (!set_upcall_vector(vcpu_of(0), vector).ok()) {
        return (platform.features & feature::callback_vector) != 0
                   ? set_param(hvm_param::callback, callback_by_vector | vector)
                   : result<void>(err::opnotsupp);
    }
    for (u32 cpu = 1; cpu < cpu_count(); ++cpu) {
        TRY(set_upcall_vector(vcpu_of(cpu), vector));
    }
    return set_param(hvm_param::callback, callback_by_line_1);
}

u64 tsc_frequency() {
    if (platform.base == 0) {
        return 0;
    }
    const pv_clock clock = read_clock();
    // Exact to a few parts in a thousand million, the CPUID leaf to 1 kHz.
    return clock.multiplier != 0 ? pv_frequency(clock)
                                 : u64{cpuid(platform.base + time_leaf).ecx} * 1000;
}

u64 wall_time() {
    const pv_clock clock = read_clock();
    if (clock.multiplier == 0) {
        return 0;
    }
    const wall_clock wall = read_versioned(the_shared_info().wall).value_or({});
    const u64 seconds = u64{wall.seconds_high} << 32 | wall.seconds;
    return seconds == 0 ? 0 : seconds * ns_per_s + wall.nanoseconds + pv_time_at(clock, read_tsc());
}

}  // namespace kiln::xen
