// FXSAVE format: x87 and SSE (Intel SDM vol. 1, 10.5.1). XSAVE is not enabled, so programs see no AVX
// and use none.
//
// A thread's registers stay in the CPU until another application thread needs it: `vector_owner` of
// the CPU and `vector_cpu` of the thread agree as long as they are there. With several CPUs they are
// stored whenever the thread leaves, because it may go on elsewhere.
#include "arch/x86_64/vector_state.hh"

#include <algorithm>

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "lib/bytes.hh"

namespace kiln {
namespace {

constexpr usize fxsave_size = 512;
constexpr usize mxcsr_offset = 24;
constexpr usize mxcsr_mask_offset = 28;
constexpr u32 default_mxcsr = 0x1f80;
constexpr u16 default_x87_control = 0x37f;

void save_registers(std::byte* area) {
    asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void restore_registers(const std::byte* area) {
    asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

// The registers of `owner` are in this CPU and may not be lost.
void store_owner(cpu& me, thread& owner) {
    if (me.vector_owner == &owner && owner.vector_cpu == me.number) {
        save_registers(owner.vectors);
    }
}

void take_registers(cpu& me, thread& next) {
    if (me.vector_owner == &next && next.vector_cpu == me.number) {
        return;
    }
    if (me.vector_owner != nullptr && cpu_count() == 1) {
        store_owner(me, *me.vector_owner);
        me.vector_owner->vector_cpu = max_cpus;
    }
    restore_registers(next.vectors);
    me.vector_owner = &next;
    next.vector_cpu = me.number;
}

u32 supported_mxcsr() {
    alignas(16) std::byte area[fxsave_size];
    save_registers(area);
    const u32 mask = load<u32>(area + mxcsr_mask_offset);
    return mask == 0 ? 0xffbf : mask;
}

}  // namespace

usize vector_state_size() {
    return fxsave_size;
}

u64 vector_state_features() {
    return 3;
}

bool vector_state_uses_xsave() {
    return false;
}

void store_vector_state(std::span<std::byte> area) {
    alignas(16) std::byte state[fxsave_size]{};
    const u64 saved = interrupts_save_and_disable();
    save_registers(state);
    interrupts_restore(saved);
    std::copy_n(state, std::min(area.size(), fxsave_size), area.data());
}

result<void> load_vector_state(std::span<const std::byte> area) {
    alignas(16) std::byte state[fxsave_size];
    if (area.size() < fxsave_size) {
        return err::inval;
    }
    std::copy_n(area.data(), fxsave_size, state);
    if ((load<u32>(state + mxcsr_offset) & ~supported_mxcsr()) != 0) {
        return err::inval;
    }
    const u64 saved = interrupts_save_and_disable();
    restore_registers(state);
    interrupts_restore(saved);
    return {};
}

void reset_vector_state() {
    alignas(16) std::byte state[fxsave_size]{};
    store<u16>(state, default_x87_control);
    store<u32>(state + mxcsr_offset, default_mxcsr);
    const u64 saved = interrupts_save_and_disable();
    restore_registers(state);
    interrupts_restore(saved);
}

result<std::byte*> copy_vector_area() {
    auto* area = static_cast<std::byte*>(::operator new(fxsave_size, std::nothrow));
    if (area == nullptr) {
        return err::nomem;
    }
    if (current_thread().is_user) {
        const u64 saved = interrupts_save_and_disable();
        save_registers(area);
        interrupts_restore(saved);
        return area;
    }
    std::fill_n(area, fxsave_size, std::byte{0});
    store<u16>(area, default_x87_control);
    store<u32>(area + mxcsr_offset, default_mxcsr);
    return area;
}

void release_vector_area(std::byte* area) {
    ::operator delete(area);
}

void forget_vector_owner(thread& ended) {
    cpu& me = this_cpu_block();
    if (me.vector_owner == &ended) {
        me.vector_owner = nullptr;
    }
}

void switch_machine_state(cpu& me, thread& previous, thread& next) {
    if (previous.is_user && cpu_count() > 1) {
        store_owner(me, previous);
    }
    me.current = &next;
    me.kernel_stack_top = next.stack_top;
    if (next.is_user) {
        take_registers(me, next);
        write_msr(msr::fs_base, next.fs_base);
    }
}

}  // namespace kiln
