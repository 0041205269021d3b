// Enumeration, capabilities and BARs on a simulated configuration space.
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "drivers/pci/enumerate.hh"

namespace kiln::pci {
namespace {

class simulated_machine final : public config_space {
public:
    struct device {
        std::map<u16, u32> registers;
        std::map<u16, u32> bar_masks;  // bits of a BAR that can be written
    };

    device& add(u8 bus, u8 slot, u8 number, u32 id, u32 class_code = 0xff00'0000, u8 header = 0) {
        device& made = devices[{bus, slot, number}];
        made.registers[config::id] = id;
        made.registers[config::class_code] = class_code;
        made.registers[config::header] = u32{header} << 16;
        return made;
    }

    u32 read(address from, u16 offset) override {
        ++reads;
        const auto found = devices.find({from.bus, from.device, from.function});
        if (found == devices.end()) {
            return ~u32{0};
        }
        const auto& registers = found->second.registers;
        const auto at = registers.find(offset);
        return at == registers.end() ? 0 : at->second;
    }
    void write(address to, u16 offset, u32 value) override {
        device& target = devices[{to.bus, to.device, to.function}];
        const auto mask = target.bar_masks.find(offset);
        const bool is_bar = offset >= config::bar0 && offset < config::bar0 + 4 * bars_of_a_device;
        if (!is_bar) {
            target.registers[offset] = value;
        } else if (mask != target.bar_masks.end()) {
            target.registers[offset] = (value & mask->second) | (target.registers[offset] & 15);
        }
    }

    std::map<std::tuple<u8, u8, u8>, device> devices;
    u32 reads = 0;
};

TEST(pci, finds_functions_and_follows_bridges) {
    simulated_machine machine;
    machine.add(0, 0, 0, 0x1234'8086);
    machine.add(0, 31, 0, 0x2918'8086, 0x0601'0000, 0x80);
    machine.add(0, 31, 3, 0x2930'8086);
    machine.add(0, 2, 0, 0x3420'8086, 0x0604'0000, 1).registers[config::bus_numbers] = 0x0005'0500;
    machine.add(5, 0, 0, 0x1041'1af4);
    machine.add(9, 0, 0, 0x1042'1af4);  // behind no bridge
    vector<function> found;
    ASSERT_TRUE(enumerate(machine, found).ok());
    ASSERT_EQ(found.size(), 5u);
    EXPECT_EQ(found.back().device(), 0x1041);
    EXPECT_EQ(found.back().at().bus, 5);
}

TEST(pci, empty_slots_cost_one_read) {
    simulated_machine machine;
    machine.add(0, 0, 0, 0x1234'8086);
    vector<function> found;
    ASSERT_TRUE(enumerate(machine, found).ok());
    EXPECT_LE(machine.reads, 32u + 3);
}

TEST(pci, bridges_in_a_circle_end) {
    simulated_machine machine;
    machine.add(0, 1, 0, 0x3420'8086, 0x0604'0000, 1).registers[config::bus_numbers] = 0x0001'0100;
    machine.add(1, 1, 0, 0x3420'8086, 0x0604'0000, 1).registers[config::bus_numbers] = 0x0001'0100;
    machine.add(1, 2, 0, 0x3420'8086, 0x0604'0000, 1).registers[config::bus_numbers] = 0x0000'0000;
    vector<function> found;
    ASSERT_TRUE(enumerate(machine, found).ok());
    EXPECT_EQ(found.size(), 3u);
}

TEST(pci, capabilities_are_found_in_order) {
    simulated_machine machine;
    auto& device = machine.add(0, 0, 0, 0x1041'1af4);
    device.registers[config::command] = config::status_has_capabilities;
    device.registers[config::capabilities] = 0x40;
    device.registers[0x40] = 0x0000'5009;
    device.registers[0x50] = 0x0000'6011;
    device.registers[0x60] = 0x0000'0009;
    function one(machine, {0, 0, 0});
    EXPECT_EQ(one.find_capability(capability::vendor), 0x40);
    EXPECT_EQ(one.find_capability(capability::vendor, 0x40), 0x60);
    EXPECT_EQ(one.find_capability(capability::vendor, 0x60), 0);
    EXPECT_EQ(one.find_capability(capability::msix), 0x50);
    EXPECT_EQ(one.find_capability(capability::msi), 0);
}

TEST(pci, a_circle_of_capabilities_ends) {
    simulated_machine machine;
    auto& device = machine.add(0, 0, 0, 0x1041'1af4);
    device.registers[config::command] = config::status_has_capabilities;
    device.registers[config::capabilities] = 0x40;
    device.registers[0x40] = 0x0000'4409;
    device.registers[0x44] = 0x0000'4009;
    function one(machine, {0, 0, 0});
    EXPECT_EQ(one.find_capability(capability::msix), 0);
}

TEST(pci, an_assigned_bar_is_taken_as_it_is) {
    simulated_machine machine;
    auto& device = machine.add(0, 3, 0, 0x1041'1af4);
    device.registers[0x20] = 0xfebf'000c;  // 64 bits, prefetchable
    device.registers[0x24] = 0x0000'0008;
    device.registers[0x10] = 0xc001;
    function one(machine, {0, 3, 0});
    bar_window window(0xc000'0000, 0xfe00'0000);
    EXPECT_EQ(one.bar_address(4, window).take(), 0x8'febf'0000u);
    EXPECT_TRUE(one.bar_is_io(0));
    EXPECT_EQ(one.bar_address(0, window).take(), 0xc000u);
    EXPECT_EQ(one.bar_address(6, window).error(), err::nodev);
    EXPECT_EQ(window.top(), 0xfe00'0000u);
}

TEST(pci, the_size_of_a_bar_is_asked_without_a_trace) {
    simulated_machine machine;
    auto& device = machine.add(0, 3, 0, 0xec20'1d0f);
    device.registers[0x10] = 0xfebf'4000;
    device.bar_masks[0x10] = 0xffff'c000;
    device.registers[0x14] = 0xc001;
    device.registers[config::command] = command::memory | command::bus_master;
    function one(machine, {0, 3, 0});
    EXPECT_EQ(one.memory_bar_size(0), 0x4000u);
    EXPECT_EQ(one.memory_bar_size(1), 0u) << "ports";
    EXPECT_EQ(one.memory_bar_size(2), 0u) << "there is none";
    EXPECT_EQ(one.memory_bar_size(6), 0u);
    EXPECT_EQ(device.registers[0x10], 0xfebf'4000u);
    EXPECT_EQ(device.registers[config::command], command::memory | command::bus_master);
}

TEST(pci, a_bar_at_zero_is_placed_below_those_assigned) {
    simulated_machine machine;
    auto& assigned = machine.add(0, 2, 0, 0x1111'1234);
    assigned.registers[0x10] = 0xfd00'0000;
    auto& device = machine.add(0, 3, 0, 0x1041'1af4);
    device.registers[0x20] = 0x0000'000c;
    device.bar_masks[0x20] = 0xffff'c000;
    device.registers[0x14] = 0;
    device.bar_masks[0x14] = 0xffff'f000;
    vector<function> found;
    ASSERT_TRUE(enumerate(machine, found).ok());
    bar_window window(0xc000'0000, 0xfe00'0000);
    keep_clear_of_assigned(found, window);
    EXPECT_EQ(window.top(), 0xfd00'0000u);
    EXPECT_EQ(found[1].bar_address(1, window).take(), 0xfcff'f000u);
    EXPECT_EQ(found[1].bar_address(4, window).take(), 0xfcff'8000u);
    EXPECT_EQ(device.registers[0x20], 0xfcff'800cu);
    EXPECT_EQ(found[1].bar_address(2, window).error(), err::nodev) << "a BAR that does not exist";
}

TEST(pci, the_window_is_not_overdrawn) {
    bar_window window(0xc000'0000, 0xc010'0000);
    EXPECT_EQ(window.take(0x20'0000).error(), err::nospc);
    EXPECT_EQ(window.take(0x8'0000).take(), 0xc008'0000u);
    EXPECT_EQ(window.take(0x10'0000).error(), err::nospc);
    EXPECT_EQ(window.take(0).error(), err::nospc);
}

}  // namespace
}  // namespace kiln::pci
