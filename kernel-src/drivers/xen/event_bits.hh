// The two-level interface of event channels: a bit a port for "pending" and one for "masked" in the
// shared page, and a bit a word of them in each virtual CPU's selector. Xen sets pending and selector
// bits at any time; what is set after a look is announced anew.
#pragma once

#include "drivers/xen/interface.hh"

namespace kiln::xen {

inline constexpr u32 bits_of_word = 64;

inline u64 bit_of(u32 port) {
    return u64{1} << port % bits_of_word;
}

inline void mask_bit(shared_info& shared, u32 port) {
    shared.mask[port / bits_of_word].fetch_or(bit_of(port), std::memory_order_acq_rel);
}

// Whether the port is open now. Not when something is pending, which Xen has to announce then.
inline bool unmask_bit(shared_info& shared, u32 port) {
    const u32 word = port / bits_of_word;
    shared.mask[word].fetch_and(~bit_of(port), std::memory_order_seq_cst);
    if ((shared.pending[word].load(std::memory_order_seq_cst) & bit_of(port)) == 0) {
        return true;
    }
    mask_bit(shared, port);
    return false;
}

inline void clear_pending_bit(shared_info& shared, u32 port) {
    shared.pending[port / bits_of_word].fetch_and(~bit_of(port), std::memory_order_acq_rel);
}

// Takes what is pending for one CPU: calls `visit(port)` once for each port that is pending, not masked
// and this CPU's (`owns(port)`), with the pending bit cleared before. Bounded: a port at most once.
template <class Owns, class Visit>
void take_events(shared_info& shared, vcpu_info& info, Owns owns, Visit visit) {
    // In this order, so that nothing is overlooked that Xen sets from now on.
    info.upcall_pending.exchange(0, std::memory_order_seq_cst);
    u64 selected = info.pending_selector.exchange(0, std::memory_order_seq_cst);
    for (; selected != 0; selected &= selected - 1) {
        const auto word = static_cast<u32>(__builtin_ctzll(selected));
        u64 bits = shared.pending[word].load(std::memory_order_acquire) &
                   ~shared.mask[word].load(std::memory_order_acquire);
        for (; bits != 0; bits &= bits - 1) {
            const u32 port = word * bits_of_word + static_cast<u32>(__builtin_ctzll(bits));
            if (owns(port)) {
                clear_pending_bit(shared, port);
                visit(port);
            }
        }
    }
}

}  // namespace kiln::xen
