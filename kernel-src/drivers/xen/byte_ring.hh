// One direction of a ring of bytes in a page that another domain shares: free-running counters, the
// bytes at their remainder (Xen docs/misc/xenstore-ring.txt, io/console.h). The other side may write
// anything into its counter: a distance that the ring cannot have is err::badmsg, and nothing is copied.
// Not locked: one producer and one consumer.
#pragma once

#include <algorithm>
#include <atomic>
#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::xen {

template <u32 Size>
class byte_ring {
public:
    byte_ring(char* bytes, std::atomic<u32>& consumed, std::atomic<u32>& produced)
        : _bytes(bytes), _consumed(consumed), _produced(produced) {}

    result<u32> filled() const {
        const u32 distance = _produced.load(std::memory_order_acquire) -
                             _consumed.load(std::memory_order_acquire);
        return distance <= Size ? result<u32>(distance) : err::badmsg;
    }

    // As much as fits.
    result<usize> put(std::span<const char> from) {
        const u32 room = Size - TRY(filled());
        const u32 size = static_cast<u32>(std::min<usize>(room, from.size()));
        const u32 start = _produced.load(std::memory_order_relaxed);
        for (u32 i = 0; i < size; ++i) {
            _bytes[(start + i) % Size] = from[i];
        }
        _produced.store(start + size, std::memory_order_seq_cst);
        return usize{size};
    }

    // As much as there is.
    result<usize> take(std::span<char> to) {
        const u32 size = static_cast<u32>(std::min<usize>(TRY(filled()), to.size()));
        const u32 start = _consumed.load(std::memory_order_relaxed);
        for (u32 i = 0; i < size; ++i) {
            to[i] = _bytes[(start + i) % Size];
        }
        _consumed.store(start + size, std::memory_order_seq_cst);
        return usize{size};
    }

private:
    static_assert((Size & (Size - 1)) == 0);

    char* _bytes;
    std::atomic<u32>& _consumed;
    std::atomic<u32>& _produced;
};

}  // namespace kiln::xen
