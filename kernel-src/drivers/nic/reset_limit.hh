// How often a card is reset before it is switched off: a few times in a row, and again after it has
// worked for a while.
#pragma once

#include "core/clock.hh"

namespace kiln::nic {

class reset_limit {
public:
    static constexpr u32 most_in_a_row = 5;
    static constexpr u64 forgotten_after = 600 * ns_per_s;

    bool may_try(u64 time) {
        if (time - _last > forgotten_after) {
            _count = 0;
        }
        _last = time;
        return ++_count <= most_in_a_row;
    }

private:
    u32 _count = 0;
    u64 _last = 0;
};

}  // namespace kiln::nic
