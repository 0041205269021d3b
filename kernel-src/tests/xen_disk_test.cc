// A virtual disk of Xen from its nodes in the store to its last request, against a backend in a thread.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/clock.hh"
#include "drivers/xen/block_queue.hh"
#include "drivers/xen/fronts.hh"
#include "drivers/xen/offers.hh"
#include "tests/host/host.hh"
#include "tests/xen_block_backend.hh"
#include "tests/xen_model.hh"

namespace kiln::xen {
namespace {

const std::string ours = "device/vbd/51712", theirs = "/local/domain/3/backend/vbd/1/51712";

// The backend's half, in a thread: joins when it is told to, and then serves.
class disk_rig : public xen_model {
public:
    disk_rig() {
        store.set(ours + "/backend", theirs);
        store.set(ours + "/backend-id", 3);
        store.set(ours + "/virtual-device", 51712);
        store.set(ours + "/state", 1);
        store.set(theirs + "/state", 2);
    }
    ~disk_rig() { end(); }

    void start() { _thread = std::thread([this] { run(); }); }
    void end() {
        store.stop();
        events.stop();
        if (_thread.joinable()) {
            _thread.join();
        }
    }
    // Offers and finishes, as the start of the machine does.
    block_device* bring_up() {
        start();
        auto offered = offer_disk("51712");
        EXPECT_TRUE(offered.ok());
        return offered.ok() && finish_disk(*offered.value()).ok() ? offered.value() : nullptr;
    }
    u32 port() { return static_cast<u32>(store.number(ours + "/event-channel")); }

    // What the backend says of the disk when it joins.
    std::map<std::string, u64> properties = {{"sectors", 2048}, {"info", 0}, {"sector-size", 512}};
    std::vector<std::byte> disk = std::vector<std::byte>(1 * MiB);
    std::optional<block_backend> backend;
    // Instead of serving.
    void (*misbehaves)(disk_rig& on) = nullptr;
    std::atomic<i16> fails_flush{0};

private:
    void run() {
        if (!store.wait_for(ours + "/state", "3")) {
            return;
        }
        backend.emplace(grants, static_cast<u32>(store.number(ours + "/ring-ref")), disk);
        for (const auto& [name, value] : properties) {
            store.set(theirs + "/" + name, value);
        }
        store.set(theirs + "/state", 4);
        while (const u32 notified = events.next_notified()) {
            EXPECT_EQ(notified, port());
            if (misbehaves != nullptr) {
                misbehaves(*this);
                continue;
            }
            backend->serve();
            events.fire(notified);
        }
    }

    std::thread _thread;
};

std::vector<std::byte> pattern(usize size) {
    std::vector<std::byte> made(size);
    for (usize i = 0; i < size; ++i) {
        made[i] = static_cast<std::byte>(i * 7 + i / 256);
    }
    return made;
}

TEST(xen_disk, it_comes_up_reads_writes_and_flushes) {
    disk_rig on;
    on.properties["feature-flush-cache"] = 1;
    on.properties["feature-max-indirect-segments"] = 256;
    on.properties["feature-persistent"] = 1;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    EXPECT_EQ(disk->name(), "xvda");
    EXPECT_EQ(disk->size_in_bytes(), 1 * MiB);
    EXPECT_FALSE(disk->read_only());
    EXPECT_EQ(on.store.get(ours + "/state"), "4");
    EXPECT_EQ(on.store.get(ours + "/protocol"), "x86_64-abi");
    EXPECT_EQ(on.store.get(ours + "/feature-persistent"), "1");
    EXPECT_FALSE(on.store.has(ours + "/multi-queue-num-queues"));
    auto bytes = pattern(300'000);
    ASSERT_TRUE(disk->write(12'345, bytes).ok());
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), on.disk.begin() + 12'345));
    std::vector<std::byte> back(bytes.size());
    ASSERT_TRUE(disk->read(12'345, back).ok());
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(on.backend->longest, block_queue::most_segments);
    ASSERT_TRUE(disk->flush().ok());
    EXPECT_EQ(on.backend->operations.back(), block_operation::flush);
}

TEST(xen_disk, a_backend_with_nothing_but_requests_will_do) {
    disk_rig on;
    on.properties.erase("sector-size");
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    std::vector<std::byte> back(200'000);
    ASSERT_TRUE(disk->read(1000, back).ok());
    EXPECT_EQ(on.backend->longest, most_direct_segments);
    const u32 before = on.backend->requests;
    ASSERT_TRUE(disk->flush().ok());
    EXPECT_EQ(on.backend->requests, before);
}

TEST(xen_disk, where_flushing_is_not_known_barriers_are_and_where_neither_is_it_is_done) {
    disk_rig on;
    on.properties["feature-flush-cache"] = 1;
    on.properties["feature-barrier"] = 1;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    on.backend->fails = block_status::not_supported;
    ASSERT_TRUE(disk->flush().ok());
    EXPECT_EQ(on.backend->operations, (std::vector{block_operation::flush,
                                                   block_operation::write_barrier}));
    ASSERT_TRUE(disk->flush().ok());
    EXPECT_EQ(on.backend->requests, 2u) << "neither is tried again";
}

TEST(xen_disk, a_flush_that_fails_is_an_error) {
    disk_rig on;
    on.properties["feature-flush-cache"] = 1;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    on.backend->fails = block_status::error;
    EXPECT_EQ(disk->flush().error(), err::io);
    std::byte sector[512];
    EXPECT_EQ(disk->read(0, sector).error(), err::io);
    on.backend->fails = 0;
    EXPECT_TRUE(disk->read(0, sector).ok());
}

TEST(xen_disk, large_sectors_are_counted_in_small_ones) {
    disk_rig on;
    on.properties["sector-size"] = 4096;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    EXPECT_EQ(disk->size_in_bytes(), 1 * MiB);
    auto bytes = pattern(10'000);
    ASSERT_TRUE(disk->write(50'001, bytes).ok());
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), on.disk.begin() + 50'001));
    EXPECT_EQ(on.disk[50'000], std::byte{0});
}

TEST(xen_disk, read_only_disks_are) {
    disk_rig on;
    on.properties["info"] = block_info::read_only;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    std::byte sector[512]{};
    EXPECT_EQ(disk->write(0, sector).error(), err::rofs);
}

TEST(xen_disk, what_is_no_disk_is_refused) {
    for (const auto& [name, value] : std::vector<std::pair<std::string, u64>>{
             {"sectors", 0}, {"sector-size", 513}, {"sector-size", 8192}, {"sector-size", 256}}) {
        disk_rig on;
        on.properties[name] = value;
        EXPECT_EQ(on.bring_up(), nullptr) << name << value;
        EXPECT_EQ(on.store.get(ours + "/state"), "6");
    }
}

TEST(xen_disk, others_that_write_to_the_store_meanwhile_do_not_matter) {
    disk_rig on;
    on.store.conflicts = 3;
    EXPECT_NE(on.bring_up(), nullptr);
}

// ---- waits ----

// As the watch's thread would, when time has passed.
void pass_time(disk_rig& on, u64 time, std::atomic<bool>& done) {
    while (!done) {
        host::advance_time(time);
        on.store.set(theirs + "/state", on.store.get(theirs + "/state"));
        std::this_thread::yield();
    }
}

template <class Body>
void with_time_passing(disk_rig& on, Body body) {
    host::set_time(1 * ns_per_s);
    std::atomic<bool> done{false};
    std::thread clock([&] { pass_time(on, ns_per_s, done); });
    body();
    done = true;
    clock.join();
    host::use_real_time();
}

TEST(xen_disk, a_backend_that_never_offers_itself_is_waited_for_a_while) {
    disk_rig on;
    on.store.set(theirs + "/state", 1);
    with_time_passing(on, [&] { EXPECT_EQ(offer_disk("51712").error(), err::timedout); });
    EXPECT_EQ(on.store.get(ours + "/state"), "6");
}

TEST(xen_disk, a_backend_that_never_joins_is_waited_for_a_while) {
    disk_rig on;
    auto offered = offer_disk("51712");
    ASSERT_TRUE(offered.ok());
    with_time_passing(
        on, [&] { EXPECT_EQ(finish_disk(*offered.value()).error(), err::timedout); });
}

TEST(xen_disk, a_backend_that_closes_instead_of_joining_is_not_waited_for) {
    disk_rig on;
    auto offered = offer_disk("51712");
    ASSERT_TRUE(offered.ok());
    on.store.set(theirs + "/state", 5);
    EXPECT_EQ(finish_disk(*offered.value()).error(), err::io);
}

TEST(xen_disk, nodes_that_lack_or_lie_are_an_error) {
    for (const char* name : {"/backend", "/backend-id"}) {
        disk_rig on;
        on.store.erase(ours + name);
        EXPECT_FALSE(offer_disk("51712").ok()) << name;
    }
    disk_rig on;
    on.store.set(ours + "/backend-id", 0x7ff0);
    EXPECT_EQ(offer_disk("51712").error(), err::nodev);
}

TEST(xen_disk, a_device_that_somebody_used_is_led_through_its_end) {
    disk_rig on;
    on.store.set(ours + "/state", 4);
    on.store.set(theirs + "/state", 4);
    std::thread other_half([&] {
        on.store.wait_for(ours + "/state", "5");
        on.store.set(theirs + "/state", 5);
        on.store.wait_for(ours + "/state", "6");
        on.store.set(theirs + "/state", 6);
        on.store.wait_for(ours + "/state", "1");
        on.store.set(theirs + "/state", 2);
    });
    EXPECT_NE(on.bring_up(), nullptr);
    other_half.join();
}

// ---- the end ----

TEST(xen_disk, when_the_backend_closes_requests_end_in_errors_and_we_close_too) {
    disk_rig on;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    on.misbehaves = [](disk_rig& rig) { rig.store.set(theirs + "/state", 5); };
    std::byte sector[512];
    EXPECT_EQ(disk->read(0, sector).error(), err::io);
    // By whoever saw it first: this thread, or the one that watches the backend.
    EXPECT_TRUE(on.store.wait_for(ours + "/state", "6"));
    EXPECT_TRUE(on.events.masked(on.port()));
    EXPECT_EQ(disk->read(0, sector).error(), err::io);
}

TEST(xen_disk, when_its_nodes_vanish_so_does_the_disk) {
    disk_rig on;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    on.store.erase(theirs + "/state");
    std::byte sector[512];
    EXPECT_EQ(disk->read(0, sector).error(), err::io);
}

TEST(xen_disk, a_backend_that_breaks_the_ring_loses_the_disk) {
    disk_rig on;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    on.misbehaves = [](disk_rig& rig) {
        block_response answer = rig.backend->carry_out();
        answer.id ^= 1;
        (void)rig.backend->answer(answer);
        rig.events.fire(rig.port());
    };
    std::byte sector[512];
    EXPECT_EQ(disk->read(0, sector).error(), err::io);
    EXPECT_EQ(on.store.get(ours + "/state"), "6");
    EXPECT_TRUE(on.events.masked(on.port()));
}

TEST(xen_disk, events_without_end_lose_the_disk) {
    disk_rig on;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    for (u32 i = 0; i < block_queue::most_idle_events; ++i) {
        on.events.fire(on.port());
    }
    EXPECT_TRUE(on.events.masked(on.port()));
    std::byte sector[512];
    EXPECT_EQ(disk->read(0, sector).error(), err::io);
}

TEST(xen_disk, an_event_that_comes_late_will_do) {
    disk_rig on;
    block_device* disk = on.bring_up();
    ASSERT_NE(disk, nullptr);
    on.misbehaves = [](disk_rig& rig) { rig.backend->serve(); };
    std::byte sector[512];
    std::atomic<bool> done{false};
    std::thread reader([&] {
        EXPECT_TRUE(disk->read(0, sector).ok());
        done = true;
    });
    while (!done) {
        on.events.fire(on.port());
        std::this_thread::yield();
    }
    reader.join();
}

// ---- what is offered ----

TEST(xen_offers, queues_and_segments) {
    EXPECT_EQ(choose_queues(0, 4, 8), 1u);
    EXPECT_EQ(choose_queues(1, 4, 8), 1u);
    EXPECT_EQ(choose_queues(16, 4, 8), 4u);
    EXPECT_EQ(choose_queues(2, 4, 8), 2u);
    EXPECT_EQ(choose_queues(~u64{0}, 64, 8), 8u);
    EXPECT_EQ(choose_segments(0), 11u);
    EXPECT_EQ(choose_segments(5), 11u);
    EXPECT_EQ(choose_segments(32), 32u);
    EXPECT_EQ(choose_segments(~u64{0}), 64u);
}

TEST(xen_offers, names_of_disks) {
    const std::pair<u64, std::string_view> cases[] = {
        {51712, "xvda"}, {51713, "xvda1"}, {51728, "xvdb"}, {(202 << 8) | 0xf0, "xvdp"},
        {2048, "xvda"},  {2065, "xvdb1"},  {768, "xvda"},   {(3 << 8) | 64, "xvdb"},
        {22 << 8, "xvdc"}, {(1 << 28) | 16 << 8, "xvdq"}, {(1 << 28) | 26 << 8 | 3, "xvdaa3"},
        {(1 << 28) | 536 << 8 | 37, "xvdtq37"}, {5, "vbd5"}, {~u64{0}, "vbd18446744073709551615"},
    };
    for (const auto& [number, name] : cases) {
        char text[32];
        EXPECT_EQ(std::string_view(text, name_disk(number, text)), name) << number;
    }
}

TEST(xen_offers, geometry) {
    EXPECT_EQ(check_geometry(100, 512).value().sectors, 100u);
    EXPECT_EQ(check_geometry(100, 4096).value().sectors, 12u) << "no half sectors";
    EXPECT_EQ(check_geometry(1, 0).error(), err::inval);
    EXPECT_EQ(check_geometry(1, 1000).error(), err::inval);
    EXPECT_EQ(check_geometry(~u64{0}, 512).error(), err::inval);
}

TEST(xen_offers, features_of_networks) {
    namespace f = net::device_feature;
    EXPECT_EQ(choose_net_features({true, true, false, true, true, true}),
              f::transmit_checksum | f::tso4 | f::tso6);
    EXPECT_EQ(choose_net_features({true, true, false, true, true, false}),
              f::transmit_checksum | f::tso4);
    EXPECT_EQ(choose_net_features({true, false, false, true, true, true}), f::transmit_checksum);
    EXPECT_EQ(choose_net_features({true, true, true, true, true, true}), 0u);
    EXPECT_EQ(choose_net_features({true, true, false, false, true, true}), 0u);
}

TEST(xen_offers, addresses) {
    const auto mac = read_mac("00:16:3E:5a:10:ff");
    ASSERT_TRUE(mac.ok());
    EXPECT_EQ(mac.value(), (net::mac_address{{0x00, 0x16, 0x3e, 0x5a, 0x10, 0xff}}));
    for (const char* bad : {"", "00:16:3e:5a:10", "00:16:3e:5a:10:ff:", "00-16-3e-5a-10-ff",
                            "0g:16:3e:5a:10:ff", "01:16:3e:5a:10:ff", "00:16:3e:5a:10:f"}) {
        EXPECT_FALSE(read_mac(bad).ok()) << bad;
    }
}

}  // namespace
}  // namespace kiln::xen
