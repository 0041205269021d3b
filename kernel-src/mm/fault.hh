// The door for the architecture's page-fault entry: faults of the program and of the kernel's copies
// from and to its memory. Context: threads with interrupts on, holding no locks.
#pragma once

#include "mm/address_space.hh"

namespace kiln {

// See address_space::fault for what the errors mean. After err::nomem the caller ends the program.
inline result<void> handle_user_fault(u64 address, fault_access access) {
    return the_address_space().fault(address, access);
}

}  // namespace kiln
