// What hypervisors write into the boot line about devices without a bus.
#include "drivers/virtio/mmio_place.hh"

#include <gtest/gtest.h>

#include "core/app_config.hh"
#include "lib/sentence.hh"

namespace kiln::virtio {
namespace {

vector<mmio_place> find(std::string_view line) {
    vector<mmio_place> found;
    EXPECT_TRUE(find_in_boot_line(line, found).ok());
    return found;
}

TEST(virtio_mmio_place, settings_are_found_wherever_they_stand) {
    const auto found = find(
        "virtio_mmio.device=4K@0xd0000000:5 log=debug -- /bin/x 512@1:2 "
        "virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=1M@3489660928:0x20:7");
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0].size, 4096u);
    EXPECT_EQ(found[0].address, 0xd000'0000u);
    EXPECT_EQ(found[0].interrupt, 5u);
    EXPECT_TRUE(found[0].is_isa);
    EXPECT_EQ(found[1].size, 512u);
    EXPECT_EQ(found[1].interrupt, 12u);
    EXPECT_EQ(found[2].address, 3489660928u);
    EXPECT_EQ(found[2].interrupt, 32u);
}

TEST(virtio_mmio_place, what_is_none_is_skipped) {
    for (const char* line :
         {"", "virtio_mmio.device", "virtio_mmio.device=", "virtio_mmio.device=4K@:5",
          "virtio_mmio.device=4K@0x:5", "virtio_mmio.device=4K@0xd0000000",
          "virtio_mmio.device=4K@0xd0000000:5:", "virtio_mmio.device=4K@0xd0000000:5x",
          "virtio_mmio.device=4K@0xd0000000:300", "virtio_mmio.device=4K@0:5",
          "virtio_mmio.device=99999999999999999999@1:5", "xvirtio_mmio.device=4K@0xd0000000:5",
          "virtio_mmio.device=18446744073709551615G@1:5"}) {
        EXPECT_EQ(find(line).size(), 0u) << line;
    }
}

TEST(virtio_mmio_place, the_program_does_not_see_them) {
    sentence why;
    auto config = read_boot_line(
        "virtio_mmio.device=4K@0xd0000000:5 log=debug -- /bin/x a "
        "virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=512@0xfeb00c00:11",
        why);
    ASSERT_TRUE(config.ok()) << why.view();
    ASSERT_EQ(config.value().argv.size(), 2u);
    EXPECT_EQ(config.value().argv[1].view(), "a");
}

}  // namespace
}  // namespace kiln::virtio
