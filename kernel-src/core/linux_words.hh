// What the launchers of virtual machines tell a Linux on the boot line, though it means nothing here:
// Firecracker's and others' `pci=off reboot=k panic=1 console=ttyS0 i8042.noaux root=/dev/vda ro`.
#pragma once

#include <string_view>

#include "lib/cmdline.hh"

namespace kiln {

// Whether a setting is one of those, to be passed over.
bool is_for_linux(const cmdline_setting& setting);
// Some launchers put theirs at the very end of the line, behind the program's arguments; the last ones
// then say where devices are (virtio_mmio.device=…).
void drop_launchers_words(vector<string>& arguments);

}  // namespace kiln
