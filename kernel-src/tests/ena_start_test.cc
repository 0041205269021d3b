// How the driver of the Elastic Network Adapter starts with a card: what it agrees on, and the
// cards with which it does not.
#include "tests/ena/rig.hh"

namespace kiln::ena::model {
namespace {

class ena_start : public rig {};

TEST_F(ena_start, a_pair_of_queues_for_each_cpu) {
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 4u);
    EXPECT_EQ(device.pairs(), 4u);
    EXPECT_EQ(driver.mac(), (net::mac_address{{2, 0x0a, 0x0b, 1, 2, 3}}));
    EXPECT_EQ(driver.mtu(), 1500u);
    EXPECT_EQ(device.mtu, 1500u);
    EXPECT_EQ(driver.features(), net::device_feature::transmit_checksum |
                                     net::device_feature::tso4 | net::device_feature::tso6);
    EXPECT_TRUE(device.in_device());
    EXPECT_EQ(device.host.specification, 0x200);
    EXPECT_EQ(device.host.cpus, 4u);
    EXPECT_EQ(device.host.location, 0x28u);
    EXPECT_EQ(device.resets, 1u);
    for (u32 i = 0; i < 4; ++i) {
        EXPECT_EQ(device.buffers(i), 255u);
    }
    EXPECT_EQ(device.delays >> interrupt::sent_delay_shift, 64u);
}

TEST_F(ena_start, registers_that_can_be_read_are_read) {
    device.is.registers_can_be_read = true;
    device.does.silent_reads = true;
    EXPECT_TRUE(open().ok());
}

TEST_F(ena_start, the_fewest_of_cpus_queues_and_messages_count) {
    device.is.messages = 3;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 2u);
}

TEST_F(ena_start, as_many_queues_as_the_device_has) {
    device.is.queues = 3;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 3u);
}

TEST_F(ena_start, no_more_queues_in_the_devices_memory_than_it_says) {
    device.is.push.queues = 1;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 1u);
}

TEST_F(ena_start, a_device_without_messages_is_looked_at) {
    device.is.messages = 0;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 1u);
    EXPECT_TRUE(device.arrive(tcp_frame(1)));
    turn();
    EXPECT_EQ(received.frames.size(), 1u);
}

TEST_F(ena_start, an_old_device_tells_its_limits_in_the_old_form) {
    device.is.features &= ~bit_of(feature::extended_queue_limits);
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 4u);
}

TEST_F(ena_start, what_a_plain_device_does_not_have_is_done_without) {
    device.is.features = bit_of(feature::attributes) | bit_of(feature::extended_queue_limits);
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 1u) << "nothing spreads what arrives";
    EXPECT_EQ(driver.features(), 0u);
    EXPECT_FALSE(device.in_device());
    send(0, packet_of(tcp_frame(1)));
    ASSERT_EQ(device.sent.size(), 1u);
    EXPECT_EQ(device.sent[0].bytes, tcp_frame(1));
}

TEST_F(ena_start, features_that_are_refused_are_done_without) {
    for (const feature each : {feature::hints, feature::offloads, feature::moderation,
                               feature::events, feature::mtu, feature::host_attributes,
                               feature::hash_function, feature::hash_input}) {
        device.does.refuses[static_cast<u32>(each)] = answer_status::unsupported;
    }
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.pairs(), 4u);
}

TEST_F(ena_start, a_device_that_refuses_its_memory_gets_descriptors_in_ours) {
    device.does.refuses[static_cast<u32>(feature::push)] = answer_status::bad_parameter;
    ASSERT_TRUE(open().ok());
    EXPECT_FALSE(device.in_device());
}

TEST_F(ena_start, lines_that_the_driver_does_not_know_are_not_used) {
    device.is.push.entry_sizes = 2;  // 192 bytes
    ASSERT_TRUE(open().ok());
    EXPECT_FALSE(device.in_device());
}

TEST_F(ena_start, a_small_mtu_is_the_stacks_too) {
    device.is.largest_mtu = 1280;
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(driver.mtu(), 1280u);
}

struct refused_device {
    const char* what;
    void (*make)(card& device);
};

class ena_refused : public rig, public ::testing::WithParamInterface<refused_device> {};

TEST_P(ena_refused, ends_in_an_error_and_switched_off) {
    GetParam().make(device);
    EXPECT_FALSE(open().ok());
    driver.give_up();
    EXPECT_TRUE(device.is_cut_off);
}

constexpr refused_device refused_devices[] = {
    {"not_ready", [](card& c) { c.does.not_ready = true; }},
    {"gone", [](card& c) { c.does.gone = true; }},
    {"silent_registers", [](card& c) { c.does.silent_reads = true; }},
    {"other_register", [](card& c) { c.does.wrong_register = true; }},
    {"reset_never_begins", [](card& c) { c.does.reset_never_begins = true; }},
    {"reset_never_ends", [](card& c) { c.does.reset_never_ends = true; }},
    {"no_reset_timeout", [](card& c) { c.is.reset_units = 0; }},
    {"too_old", [](card& c) { c.is.controller = 0; }},
    {"short_addresses", [](card& c) { c.is.address_bits = 31; }},
    {"memory_out_of_reach", [](card& c) { c.is.address_bits = 32; }},
    {"no_answer", [](card& c) { c.does.silent_commands = true; }},
    {"answer_to_another_command", [](card& c) { c.does.wrong_command = true; }},
    {"no_attributes",
     [](card& c) { c.does.refuses[1] = answer_status::error; }},
    {"no_limits", [](card& c) { c.does.refuses[7] = answer_status::malformed; }},
    {"no_queues", [](card& c) { c.is.queues = 0; }},
    {"short_queues", [](card& c) { c.is.depth = 16; c.is.push.queues = 0; }},
    {"frames_of_one_piece", [](card& c) { c.is.sent_pieces = 1; }},
    {"no_address", [](card& c) { std::fill_n(c.is.mac, 6, u8{0}); }},
    {"address_of_a_group", [](card& c) { c.is.mac[0] = 3; }},
    {"tiny_frames", [](card& c) { c.is.largest_mtu = 60; }},
};
INSTANTIATE_TEST_SUITE_P(, ena_refused, ::testing::ValuesIn(refused_devices),
                         [](const auto& each) { return std::string(each.param.what); });

// Writing there would be writing anywhere.
constexpr refused_device wild_devices[] = {
    {"doorbell_outside", [](card& c) { c.does.doorbell_outside = true; }},
    {"lines_outside", [](card& c) { c.does.lines_outside = true; }},
    {"interrupt_outside", [](card& c) { c.does.interrupt_outside = true; }},
};
INSTANTIATE_TEST_SUITE_P(places, ena_refused, ::testing::ValuesIn(wild_devices),
                         [](const auto& each) { return std::string(each.param.what); });

}  // namespace
}  // namespace kiln::ena::model
