// kernel only
#include "drivers/xen/unplug.hh"

#include "arch/x86_64/ports.hh"
#include "core/log.hh"

namespace kiln::xen {
namespace {

constexpr u16 command_port = 0x10, version_port = 0x12;
constexpr u16 offered = 0x49d2;
// Of the registry of drivers (Xen public hvm/pvdrivers.h): one that has no number of its own.
constexpr u16 experimental_product = 0xffff;
constexpr u32 build = 1;
constexpr u16 disks_bit = 1u << 0, cards_bit = 1u << 1, nvme_bit = 1u << 3;

// The host may refuse by the driver's number; then it answers something else than before.
bool is_offered() {
    if (in16(command_port) != offered) {
        return false;
    }
    if (in8(version_port) != 0) {
        out16(version_port, experimental_product);
        out32(command_port, build);
    }
    return in16(command_port) == offered;
}

}  // namespace

void unplug(bool disks, bool cards) {
    const u16 wanted = static_cast<u16>((disks ? disks_bit | nvme_bit : 0) | (cards ? cards_bit : 0));
    if (wanted == 0) {
        return;
    }
    if (!is_offered()) {
        log_debug("xen: no emulated devices can be taken away");
        return;
    }
    out16(command_port, wanted);
    log_debug("xen: took away emulated {}{}{}", disks ? "disks" : "", disks && cards ? " and " : "",
              cards ? "network cards" : "");
}

}  // namespace kiln::xen
