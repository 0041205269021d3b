// One side of a transfer through a pipe: what takes bytes, or gives them.
#pragma once

#include <span>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

class byte_mover {
public:
    // As a read or write of these kernel bytes: how many went. May sleep. Called with the pipe's lock
    // held, so it must not use that pipe.
    virtual result<usize> move(std::span<std::byte> bytes) = 0;
    // Whether to ask for more after it moved all that it was asked for, without waiting.
    virtual bool goes_on() const = 0;

protected:
    ~byte_mover() = default;
};

}  // namespace kiln
