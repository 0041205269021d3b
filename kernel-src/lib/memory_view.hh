// Bytes that may not be there: the program's memory, or a file, read piece by piece.
#pragma once

#include <type_traits>

#include "lib/types.hh"

namespace kiln {

class memory_view {
public:
    // False when not all of it can be read; `to` is undefined then.
    virtual bool read(u64 address, void* to, usize size) const = 0;

    template <class T>
    requires std::is_trivially_copyable_v<T>
    bool load(u64 address, T& to) const { return read(address, &to, sizeof(T)); }

protected:
    ~memory_view() = default;
};

}  // namespace kiln
