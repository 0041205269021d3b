// Disks of SCSI and ATA share their names.
#pragma once

namespace kiln {

// For the next sdX. Context: the thread that starts drivers.
char next_sd_letter();

}  // namespace kiln
