// A thread's registers stay in the CPU until another application thread needs it: `vector_owner` of
// the CPU and `vector_cpu` of the thread agree as long as they are there. With several CPUs they
// are stored whenever the thread leaves, because it may go on elsewhere.
//
// A thread's area has the format of the routines chosen at boot (vector_routines.hh); signal frames
// have the standard one, which is made from the registers themselves.
#include "arch/x86_64/vector_state.hh"

#include <algorithm>

#include "arch/x86_64/cpu.hh"
#include "arch/x86_64/machine.hh"
#include "arch/x86_64/msr.hh"
#include "arch/x86_64/trap_frame.hh"
#include "arch/x86_64/vector_routines.hh"
#include "lib/bytes.hh"

namespace kiln {
namespace {

// The registers of `owner` are in this CPU and may not be lost.
void store_owner(cpu& me, thread& owner) {
    if (me.vector_owner == &owner && owner.vector_cpu == me.number) {
        the_vectors.save(owner.vectors);
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
    the_vectors.restore(next.vectors);
    me.vector_owner = &next;
    next.vector_cpu = me.number;
}

constexpr usize mxcsr_offset = vector_mxcsr_offset;
constexpr usize header_offset = vector_legacy_size;
constexpr usize xmm_offset = 160, xmm_end = 416;

u64 features_in(const std::byte* area) {
    return load<u64>(area + header_offset);
}

// As XRSTOR would refuse it (Intel SDM vol. 1, 13.8): unknown features, a compacted or a reserved
// format.
bool valid_header(const std::byte* area) {
    return (features_in(area) & ~the_vectors.features) == 0 &&
           load<u64>(area + header_offset + 8) == 0 && load<u64>(area + header_offset + 16) == 0;
}

// Moves have no notion of SSE registers that are not in use.
void restore_by_moves(std::byte* area) {
    if ((features_in(area) & xfeature::sse) == 0) {
        std::fill(area + xmm_offset, area + xmm_end, std::byte{0});
    }
    vector_restore_by_moves(area, the_vectors.features);
}

void restore_initial() {
    alignas(64) std::byte area[vector_legacy_size + vector_header_size];
    make_initial_vectors(area, sizeof(area));
    restore_standard_vectors(area);
}

}  // namespace

usize vector_state_size() {
    return the_vectors.standard_size;
}

u64 vector_state_features() {
    return the_vectors.features;
}

bool vector_state_uses_xsave() {
    return the_vectors.xsave;
}

void store_vector_state(std::span<std::byte> area) {
    if (the_vectors.xsave) {
        std::fill_n(area.data() + header_offset, vector_header_size, std::byte{0});
    }
    const u64 saved = interrupts_save_and_disable();
    if (the_vectors.xsave && the_vectors.by_moves) {
        make_initial_vectors(area.data(), xmm_offset);
        vector_save_by_moves(area.data(), the_vectors.features);
    } else {
        save_standard_vectors(area.data());
    }
    interrupts_restore(saved);
}

result<void> load_vector_state(std::span<std::byte> area) {
    if ((load<u32>(area.data() + mxcsr_offset) & ~the_vectors.mxcsr_mask) != 0 ||
        (the_vectors.xsave && !valid_header(area.data()))) {
        return err::inval;
    }
    const u64 saved = interrupts_save_and_disable();
    if (the_vectors.xsave && the_vectors.by_moves) {
        restore_by_moves(area.data());
    } else {
        restore_standard_vectors(area.data());
    }
    interrupts_restore(saved);
    return {};
}

void reset_vector_state() {
    const u64 saved = interrupts_save_and_disable();
    restore_initial();
    interrupts_restore(saved);
}

result<std::byte*> copy_vector_area() {
    auto* area = static_cast<std::byte*>(::operator new(the_vectors.area_size, std::nothrow));
    if (area == nullptr) {
        return err::nomem;
    }
    // As the heap's classes of this size are.
    KILN_ASSERT(is_aligned(reinterpret_cast<u64>(area), 64));
    make_initial_vectors(area, the_vectors.area_size);
    if (current_thread().is_user) {
        const u64 saved = interrupts_save_and_disable();
        the_vectors.save(area);
        interrupts_restore(saved);
    }
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
    me.program_frame = next.stack_top - sizeof(trap_frame);
    if (next.is_user) {
        take_registers(me, next);
        write_msr(msr::fs_base, next.fs_base);
    }
}

}  // namespace kiln
