// A controller's registers, behind an interface so that the protocol runs in the host tests.
#pragma once

#include "lib/types.hh"

namespace kiln::mptsas {

class registers {
public:
    virtual u32 read(usize offset) = 0;
    virtual void write(usize offset, u32 value) = 0;

protected:
    ~registers() = default;
};

}  // namespace kiln::mptsas
