// The ATA commands that disks are given (ATA8-ACS, 7); those with 28-bit addresses are `short`.
#pragma once

#include "lib/types.hh"

namespace kiln::ata {

enum class command : u8 {
    read_dma = 0x25,
    write_dma = 0x35,
    read_dma_short = 0xc8,
    write_dma_short = 0xca,
    flush_short = 0xe7,
    flush = 0xea,
    identify = 0xec,
};

}  // namespace kiln::ata
