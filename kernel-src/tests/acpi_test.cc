// ACPI tables made by hand, whole and damaged.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "drivers/acpi/mp_table.hh"
#include "drivers/acpi/tables.hh"

namespace kiln::acpi {
namespace {

class table_writer {
public:
    explicit table_writer(std::string_view signature) {
        _bytes.resize(table_header_size);
        std::memcpy(_bytes.data(), signature.data(), 4);
    }
    table_writer& bytes(std::initializer_list<int> values) {
        for (const int value : values) {
            _bytes.push_back(static_cast<std::byte>(value));
        }
        return *this;
    }
    template <class T>
    table_writer& number(T value) {
        const auto* raw = reinterpret_cast<const std::byte*>(&value);
        _bytes.insert(_bytes.end(), raw, raw + sizeof(T));
        return *this;
    }
    table_writer& zeros_to(usize size) {
        _bytes.resize(size);
        return *this;
    }
    template <class T>
    table_writer& put(usize offset, T value) {
        std::memcpy(_bytes.data() + offset, &value, sizeof(T));
        return *this;
    }
    const std::vector<std::byte>& seal() {
        const u32 size = static_cast<u32>(_bytes.size());
        std::memcpy(_bytes.data() + 4, &size, 4);
        _bytes[9] = std::byte{0};
        u8 sum = 0;
        for (const std::byte value : _bytes) {
            sum = static_cast<u8>(sum + static_cast<u8>(value));
        }
        _bytes[9] = static_cast<std::byte>(-sum);
        return _bytes;
    }

private:
    std::vector<std::byte> _bytes;
};

TEST(acpi, lengths_and_checksums_are_checked) {
    table_writer writer("APIC");
    auto table = writer.zeros_to(60).seal();
    EXPECT_EQ(table_length(table).take(), 60u);
    EXPECT_TRUE(checksum_is_right(table));
    EXPECT_EQ(table_signature(table), "APIC");
    table[50] ^= std::byte{1};
    EXPECT_FALSE(checksum_is_right(table));
    const u32 short_length = 35, long_length = 0x7fff'ffff;
    std::memcpy(table.data() + 4, &short_length, 4);
    EXPECT_FALSE(table_length(table).ok());
    std::memcpy(table.data() + 4, &long_length, 4);
    EXPECT_FALSE(table_length(table).ok());
    EXPECT_FALSE(table_length(table_bytes(table).first(20)).ok());
}

std::vector<std::byte> root_pointer_bytes(u8 revision) {
    std::vector<std::byte> bytes(36);
    std::memcpy(bytes.data(), "RSD PTR ", 8);
    bytes[15] = static_cast<std::byte>(revision);
    const u32 rsdt = 0x1000;
    const u64 xsdt = 0x2000;
    std::memcpy(bytes.data() + 16, &rsdt, 4);
    std::memcpy(bytes.data() + 24, &xsdt, 8);
    auto fix = [&](usize size, usize at) {
        u8 sum = 0;
        for (usize i = 0; i < size; ++i) {
            sum = static_cast<u8>(sum + static_cast<u8>(bytes[i]));
        }
        bytes[at] = static_cast<std::byte>(static_cast<u8>(bytes[at]) - sum);
    };
    fix(20, 8);
    fix(36, 32);
    return bytes;
}

TEST(acpi, the_root_pointer_prefers_the_xsdt) {
    auto old = parse_root_pointer(root_pointer_bytes(0));
    ASSERT_TRUE(old.ok());
    EXPECT_FALSE(old.value().is_64_bit);
    EXPECT_EQ(old.value().table, 0x1000u);
    auto extended = parse_root_pointer(root_pointer_bytes(2));
    ASSERT_TRUE(extended.ok());
    EXPECT_TRUE(extended.value().is_64_bit);
    EXPECT_EQ(extended.value().table, 0x2000u);
    auto damaged = root_pointer_bytes(2);
    damaged[17] ^= std::byte{4};
    EXPECT_FALSE(parse_root_pointer(damaged).ok());
    EXPECT_FALSE(parse_root_pointer(table_bytes(damaged).first(19)).ok());
}

TEST(acpi, root_entries_of_both_widths) {
    table_writer narrow("RSDT");
    const auto table = narrow.number<u32>(0x11).number<u32>(0x22).seal();
    EXPECT_EQ(root_entries(table, false), 2u);
    EXPECT_EQ(root_entry(table, false, 1), 0x22u);
    table_writer wide("XSDT");
    const auto other = wide.number<u64>(0x1'0000'0011).bytes({1, 2, 3}).seal();
    EXPECT_EQ(root_entries(other, true), 1u);
    EXPECT_EQ(root_entry(other, true, 0), 0x1'0000'0011u);
    EXPECT_EQ(root_entry(other, true, 7), 0u);
}

TEST(acpi, madt_gives_cpus_io_apics_and_overrides) {
    table_writer writer("APIC");
    writer.number<u32>(0xfee0'0000).number<u32>(1);
    writer.bytes({0, 8, 0, 0}).number<u32>(1);
    writer.bytes({0, 8, 1, 4}).number<u32>(0);
    writer.bytes({9, 16, 0, 0}).number<u32>(0x123).number<u32>(1).number<u32>(2);
    writer.bytes({1, 12, 7, 0}).number<u32>(0xfec0'0000).number<u32>(24);
    writer.bytes({2, 10, 0, 9}).number<u32>(20).number<u16>(0xf);
    writer.bytes({0x7f, 3, 0});
    writer.bytes({5, 12, 0, 0}).number<u64>(0x1'fee0'0000);
    madt_information found;
    parse_madt(writer.seal(), found);
    ASSERT_TRUE(found.present);
    EXPECT_TRUE(found.has_legacy_pics);
    ASSERT_EQ(found.cpu_total, 3u);
    EXPECT_TRUE(found.cpu[0].enabled);
    EXPECT_FALSE(found.cpu[1].enabled);
    EXPECT_EQ(found.cpu[1].apic_id, 4u);
    EXPECT_EQ(found.cpu[2].apic_id, 0x123u);
    ASSERT_EQ(found.io_apic_total, 1u);
    EXPECT_EQ(found.io_apic[0].gsi_base, 24u);
    EXPECT_EQ(found.io_apic[0].id, 7u);
    ASSERT_EQ(found.override_total, 1u);
    EXPECT_EQ(found.overrides[0].irq, 9u);
    EXPECT_EQ(found.overrides[0].gsi, 20u);
    EXPECT_TRUE(found.overrides[0].level);
    EXPECT_TRUE(found.overrides[0].active_low);
    EXPECT_EQ(found.local_apic, 0x1'fee0'0000u);
}

TEST(acpi, madt_entries_that_end_badly_are_left_out) {
    table_writer writer("APIC");
    writer.number<u32>(0xfee0'0000).number<u32>(1);
    writer.bytes({0, 8, 0, 0}).number<u32>(1);
    writer.bytes({0, 0, 0, 0, 0, 0, 0, 0});
    madt_information found;
    parse_madt(writer.seal(), found);
    EXPECT_EQ(found.cpu_total, 1u);
    table_writer cut("APIC");
    cut.number<u32>(0xfee0'0000).number<u32>(1).bytes({9, 16, 0, 0});
    parse_madt(cut.seal(), found);
    EXPECT_TRUE(found.present);
    EXPECT_EQ(found.cpu_total, 0u);
}

TEST(acpi, more_cpus_than_we_take_are_counted_to_the_limit) {
    table_writer writer("APIC");
    writer.number<u32>(0xfee0'0000).number<u32>(1);
    for (u32 i = 0; i < 200; ++i) {
        writer.bytes({0, 8, 0, static_cast<int>(i)}).number<u32>(1);
    }
    madt_information found;
    parse_madt(writer.seal(), found);
    EXPECT_EQ(found.cpu_total, max_cpu_entries);
}

TEST(acpi, fadt_old_and_extended_fields) {
    table_writer old("FACP");
    old.zeros_to(116).put<u32>(40, 0x7000).put<u32>(64, 0x604).put<u32>(76, 0x608);
    old.put<u32>(48, 0xb2).put<u8>(52, 2);
    fadt_information found;
    parse_fadt(old.seal(), found);
    ASSERT_TRUE(found.present);
    EXPECT_EQ(found.dsdt, 0x7000u);
    EXPECT_EQ(found.pm1a_control.address, 0x604u);
    EXPECT_EQ(found.pm1a_control.where, register_address::space::io);
    EXPECT_EQ(found.pm_timer.address, 0x608u);
    EXPECT_FALSE(found.reset_supported);
    EXPECT_FALSE(found.pm1b_control.present());

    table_writer extended("FACP");
    extended.zeros_to(276).put<u32>(40, 0x7000).put<u64>(140, 0x1'0000'7000).put<u32>(64, 0x604);
    extended.put<u32>(112, 1u << 10 | 1u << 8)
        .put<u8>(116, 1)
        .put<u64>(120, 0xcf9)
        .put<u8>(128, 0xf);
    extended.put<u8>(172, 1).put<u8>(173, 16).put<u64>(176, 0xb004);
    parse_fadt(extended.seal(), found);
    EXPECT_EQ(found.dsdt, 0x1'0000'7000u);
    EXPECT_TRUE(found.reset_supported);
    EXPECT_EQ(found.reset.address, 0xcf9u);
    EXPECT_EQ(found.reset_value, 0xf);
    EXPECT_EQ(found.pm1a_control.address, 0xb004u);
    EXPECT_TRUE(found.pm_timer_is_32_bits);
}

TEST(acpi, hpet_mcfg_and_spcr) {
    table_writer hpet("HPET");
    hpet.zeros_to(56).put<u64>(44, 0xfed0'0000).put<u16>(53, 100);
    hpet_information timer;
    parse_hpet(hpet.seal(), timer);
    EXPECT_EQ(timer.address, 0xfed0'0000u);
    EXPECT_EQ(timer.minimum_tick, 100u);

    table_writer mcfg("MCFG");
    mcfg.zeros_to(44).number<u64>(0xb000'0000).number<u16>(0).bytes({0, 0xff, 0, 0, 0, 0});
    mcfg_segment segment;
    parse_mcfg(mcfg.seal(), segment);
    ASSERT_TRUE(segment.present());
    EXPECT_EQ(segment.last_bus, 0xff);
    table_writer backwards("MCFG");
    backwards.zeros_to(44).number<u64>(0xb000'0000).number<u16>(0).bytes({9, 1, 0, 0, 0, 0});
    mcfg_segment none;
    parse_mcfg(backwards.seal(), none);
    EXPECT_FALSE(none.present());

    table_writer spcr("SPCR");
    spcr.zeros_to(80).put<u8>(40, 1).put<u64>(44, 0x3f8);
    spcr_information serial;
    parse_spcr(spcr.seal(), serial);
    EXPECT_TRUE(serial.present);
    EXPECT_EQ(serial.port.address, 0x3f8u);
}

TEST(acpi, s5_is_found_in_its_usual_forms) {
    table_writer writer("DSDT");
    writer.bytes({0x10, 0x20, '_', 'S', '5', '_', 0xff});  // a mention, not the declaration
    writer.bytes({0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x0a, 0x07, 0, 0});
    sleep_state found;
    find_s5(writer.seal(), found);
    ASSERT_TRUE(found.present);
    EXPECT_EQ(found.type_a, 5);
    EXPECT_EQ(found.type_b, 7);

    table_writer rooted("DSDT");
    rooted.bytes({0x08, '\\', '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x01, 0, 0});
    sleep_state other;
    find_s5(rooted.seal(), other);
    ASSERT_TRUE(other.present);
    EXPECT_EQ(other.type_a, 0);
    EXPECT_EQ(other.type_b, 1);
}

TEST(acpi, s5_that_is_cut_or_senseless_is_not_taken) {
    const std::vector<std::vector<int>> broken = {
        {0x08, '_', 'S', '5', '_'},
        {0x08, '_', 'S', '5', '_', 0x12},
        {0x08, '_', 'S', '5', '_', 0x12, 0xc6, 0x01},
        {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a},
        {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x55, 0x0a, 0x07},
        {0x08, '_', 'S', '5', '_', 0x12, 0x02, 0x00, 0x0a, 0x05},
        {'_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x0a, 0x07},
    };
    for (const auto& code : broken) {
        table_writer writer("DSDT");
        for (const int value : code) {
            writer.bytes({value});
        }
        sleep_state found;
        find_s5(writer.seal(), found);
        EXPECT_FALSE(found.present) << "from " << code.size() << " bytes";
    }
}

// ---- devices without a bus ----

// Device (VR07) {_HID "LNRO0005", _UID, _CRS {memory, interrupt}} as hypervisors write it.
std::vector<std::byte> virtio_device(u32 memory, u8 interrupt, u8 flags) {
    std::vector<std::byte> made;
    auto add = [&](std::initializer_list<int> values) {
        for (const int value : values) {
            made.push_back(static_cast<std::byte>(value));
        }
    };
    add({0x5b, 0x82, 0x42, 0x04, 'V', 'R', '0', '7', 0x08, '_', 'H', 'I', 'D', 0x0d});
    add({'L', 'N', 'R', 'O', '0', '0', '0', '5', 0, 0x08, '_', 'U', 'I', 'D', 0x0a, 7});
    add({0x08, '_', 'C', 'C', 'A', 1, 0x08, '_', 'C', 'R', 'S', 0x11, 0x1a, 0x0a, 0x17});
    add({0x86, 9, 0, 1, static_cast<u8>(memory), static_cast<u8>(memory >> 8),
         static_cast<u8>(memory >> 16), static_cast<u8>(memory >> 24), 0, 2, 0, 0});
    add({0x89, 6, 0, flags, 1, interrupt, 0, 0, 0, 0x79, 0});
    return made;
}

TEST(acpi, devices_without_a_bus_are_found) {
    std::vector<std::byte> table(100);
    for (const auto& each :
         {virtio_device(0xfeb0'2e00, 47, 1), virtio_device(0xd000'0000, 5, 1 | 2 | 4)}) {
        table.insert(table.end(), each.begin(), each.end());
    }
    table_bytes rest = table;
    device_resources found;
    ASSERT_TRUE(next_device(rest, "LNRO0005", found));
    EXPECT_EQ(found.memory, 0xfeb0'2e00u);
    EXPECT_EQ(found.memory_size, 512u);
    EXPECT_EQ(found.interrupt, 47u);
    EXPECT_TRUE(found.level);
    EXPECT_FALSE(found.active_low);
    ASSERT_TRUE(next_device(rest, "LNRO0005", found));
    EXPECT_EQ(found.memory, 0xd000'0000u);
    EXPECT_FALSE(found.level);
    EXPECT_TRUE(found.active_low);
    EXPECT_FALSE(next_device(rest, "LNRO0005", found));
    rest = table;
    EXPECT_FALSE(next_device(rest, "LNRO0006", found));
}

TEST(acpi, a_damaged_device_is_not_found_and_not_read_beyond) {
    const auto whole = virtio_device(0xfeb0'2e00, 47, 1);
    for (usize size = 0; size < whole.size() - 2; ++size) {
        const std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<long>(size));
        table_bytes rest = part;
        device_resources found;
        EXPECT_FALSE(next_device(rest, "LNRO0005", found)) << size;
    }
    for (usize at = 0; at < whole.size(); ++at) {
        for (const int value : {0, 1, 0x7f, 0x80, 0xff}) {
            auto bad = whole;
            bad[at] = static_cast<std::byte>(value);
            table_bytes rest = bad;
            device_resources found;
            (void)next_device(rest, "LNRO0005", found);
        }
    }
}

// As QEMU writes it: Device (PEVT) {Name (_HID, "QEMU0001") Name (_CRS, Buffer {IO (0x505)})}.
std::vector<std::byte> qemus_panic_device() {
    std::vector<std::byte> made;
    for (const int value :
         {0x5b, 0x82, 0x2b, int{'P'}, int{'E'}, int{'V'}, int{'T'}, 0x08, int{'_'}, int{'H'},
          int{'I'}, int{'D'}, 0x0d, int{'Q'}, int{'E'}, int{'M'}, int{'U'}, int{'0'}, int{'0'},
          int{'0'}, int{'1'}, 0, 0x08, int{'_'}, int{'C'}, int{'R'}, int{'S'}, 0x11, 0x0d, 0x0a,
          10, 0x47, 1, 5, 5, 5, 5, 1, 1, 0x79, 0, 0, 0, 0, 0}) {
        made.push_back(static_cast<std::byte>(value));
    }
    return made;
}

TEST(acpi, the_port_of_a_device_is_found) {
    const auto table = qemus_panic_device();
    EXPECT_EQ(find_port_of(table, "QEMU0001"), 0x505);
    EXPECT_EQ(find_port_of(table, "QEMU0002"), 0);
    for (usize size = 0; size + 12 < table.size(); ++size) {
        const std::vector<std::byte> part(table.begin(), table.begin() + static_cast<long>(size));
        EXPECT_EQ(find_port_of(part, "QEMU0001"), 0) << size;
    }
}

// As QEMU writes it for a microVM: Device (GED) {Name (_HID, "ACPI0013") Name (_CRS, …)
// OperationRegion (EREG, SystemMemory, 0xfea00000, 4)}.
std::vector<std::byte> qemus_event_device() {
    std::vector<std::byte> body;
    const auto put = [&body](std::initializer_list<int> values) {
        for (const int value : values) {
            body.push_back(static_cast<std::byte>(value));
        }
    };
    put({'G', 'E', 'D', '_', 0x08, '_', 'H', 'I', 'D', 0x0d});
    put({'A', 'C', 'P', 'I', '0', '0', '1', '3', 0});
    put({0x08, '_', 'C', 'R', 'S', 0x11, 14, 0x0a, 11, 0x89, 6, 0, 3, 1, 9, 0, 0, 0, 0x79, 0});
    put({0x5b, 0x80, 'E', 'R', 'E', 'G', 0, 0x0c, 0, 0, 0xa0, 0xfe, 0x0a, 4});
    std::vector<std::byte> made{std::byte{0x5b}, std::byte{0x82}};
    made.push_back(static_cast<std::byte>(0x40 | ((body.size() + 2) & 0xf)));
    made.push_back(static_cast<std::byte>((body.size() + 2) >> 4));
    made.insert(made.end(), body.begin(), body.end());
    return made;
}

TEST(acpi, the_event_device_is_found) {
    event_device found;
    find_event_device(qemus_event_device(), found);
    EXPECT_EQ(found.selector, 0xfea0'0000u);
    EXPECT_EQ(found.interrupt, 9u);
    EXPECT_FALSE(found.level);
    EXPECT_FALSE(found.active_low);
}

TEST(acpi, a_damaged_event_device_is_not_found_and_not_read_beyond) {
    const auto whole = qemus_event_device();
    for (usize size = 0; size < whole.size(); ++size) {
        const std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<long>(size));
        event_device found;
        find_event_device(part, found);
        EXPECT_EQ(found.selector, 0u) << size;
    }
    for (usize at = 0; at < whole.size(); ++at) {
        for (const int value : {0, 1, 0x7f, 0x80, 0xff}) {
            auto bad = whole;
            bad[at] = static_cast<std::byte>(value);
            event_device found;
            find_event_device(bad, found);
        }
    }
}

// ---- the MP table ----

std::vector<std::byte> mp_table(std::initializer_list<std::initializer_list<int>> entries) {
    std::vector<std::byte> made(mp_header_size);
    std::memcpy(made.data(), "PCMP", 4);
    const u32 local_apic = 0xfee0'0000;
    std::memcpy(&made[36], &local_apic, 4);
    for (const auto& entry : entries) {
        for (const int value : entry) {
            made.push_back(static_cast<std::byte>(value));
        }
    }
    const u16 size = static_cast<u16>(made.size());
    std::memcpy(&made[4], &size, 2);
    u8 sum = 0;
    for (const std::byte value : made) {
        sum = static_cast<u8>(sum + static_cast<u8>(value));
    }
    made[7] = static_cast<std::byte>(-sum);
    return made;
}

std::vector<std::byte> two_cpus() {
    return mp_table({
        {0, 0, 20, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {0, 1, 20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {0, 2, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {1, 1, 'I', 'S', 'A', ' ', ' ', ' '},
        {2, 2, 17, 1, 0, 0, 0xc0, 0xfe},
        {3, 0, 0, 0, 1, 0, 2, 2},
        {3, 0, 0, 0, 1, 4, 2, 4},
        {3, 0, 0xf, 0, 1, 9, 2, 9},
        {3, 3, 0, 0, 1, 0, 2, 0},
        {4, 1, 0, 0, 0, 0, 0xff, 1},
    });
}

TEST(acpi, an_mp_table_names_cpus_and_interrupts) {
    madt_information found;
    ASSERT_TRUE(parse_mp_table(two_cpus(), found).ok());
    ASSERT_EQ(found.cpu_total, 3u);
    EXPECT_TRUE(found.cpu[1].enabled);
    EXPECT_EQ(found.cpu[1].apic_id, 1u);
    EXPECT_FALSE(found.cpu[2].enabled);
    EXPECT_EQ(found.local_apic, 0xfee0'0000u);
    ASSERT_EQ(found.io_apic_total, 1u);
    EXPECT_EQ(found.io_apic[0].address, 0xfec0'0000u);
    ASSERT_EQ(found.override_total, 2u);
    EXPECT_EQ(found.overrides[0].irq, 0);
    EXPECT_EQ(found.overrides[0].gsi, 2u);
    EXPECT_EQ(found.overrides[1].irq, 9);
    EXPECT_TRUE(found.overrides[1].level);
    EXPECT_TRUE(found.overrides[1].active_low);
}

TEST(acpi, a_damaged_mp_table_is_refused) {
    const auto whole = two_cpus();
    madt_information found;
    for (usize size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(parse_mp_table(table_bytes(whole).first(size), found).ok());
    }
    auto damaged = whole;
    damaged[50] = std::byte{1};
    EXPECT_FALSE(parse_mp_table(damaged, found).ok());
}

TEST(acpi, the_mp_pointer_needs_its_checksum) {
    std::vector<std::byte> pointer(16);
    std::memcpy(pointer.data(), "_MP_\x10\xfc\x09\x00\x01\x04\x8b", 11);
    ASSERT_TRUE(parse_mp_pointer(pointer).ok());
    EXPECT_EQ(parse_mp_pointer(pointer).value(), 0x9'fc10u);
    pointer[4] = std::byte{0x11};
    EXPECT_FALSE(parse_mp_pointer(pointer).ok());
    EXPECT_FALSE(parse_mp_pointer(table_bytes(pointer).first(15)).ok());
}

}  // namespace
}  // namespace kiln::acpi
