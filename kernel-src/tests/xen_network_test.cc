// A virtual card of Xen from its nodes in the store to its first frame, against a backend in the test.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/clock.hh"
#include "drivers/xen/fronts.hh"
#include "drivers/xen/net_layout.hh"
#include "tests/host/host.hh"
#include "tests/xen_model.hh"

namespace kiln::xen {
namespace {

const std::string ours = "device/vif/0", theirs = "/local/domain/3/backend/vif/1/0";

// What the stack is told.
class listener final : public net::net_receiver {
public:
    void deliver(net::packet_ptr) override {}
    void batch_end() override {}
    void link_changed(bool up) override { up ? ++ups : ++downs; }
    std::atomic<u32> ups{0}, downs{0};
};

// A card is never freed, and its thread runs on: neither is what it uses.
class card_rig : public xen_model {
public:
    static card_rig& make() {
        static auto& all = *new std::vector<card_rig*>;
        return *all.emplace_back(new card_rig);
    }

    void say(u64 state) { store.set(theirs + "/state", state); }
    net::net_device* offer() {
        auto offered = offer_network("0");
        EXPECT_TRUE(offered.ok());
        return offered.ok() ? offered.value() : nullptr;
    }
    // As if time passed, whose end a wait notices when it is woken.
    template <class Body>
    void with_time_passing(Body body) {
        host::set_time(1 * ns_per_s);
        std::atomic<bool> done{false};
        std::thread clock([&] {
            while (!done) {
                host::advance_time(ns_per_s);
                store.set(theirs + "/state", store.get(theirs + "/state"));
                std::this_thread::yield();
            }
        });
        body();
        done = true;
        clock.join();
        host::use_real_time();
    }

    listener told;

private:
    card_rig() {
        store.set(ours + "/backend", theirs);
        store.set(ours + "/backend-id", 3);
        store.set(ours + "/mac", "00:16:3e:4b:49:4c");
        store.set(ours + "/state", 1);
        store.set(theirs + "/feature-rx-copy", 1);
        say(2);
    }
};

void send(net::net_device& card) {
    auto frame = net::packet_buffer::make().take();
    std::memset(frame->push(60), 0, 60);
    card.transmit(std::move(frame), false);
}

template <class Condition>
void wait_for(Condition condition) {
    while (!condition()) {
        std::this_thread::yield();
    }
}

TEST(xen_network, it_comes_up_with_its_backend) {
    card_rig& on = card_rig::make();
    net::net_device* card = on.offer();
    ASSERT_NE(card, nullptr);
    EXPECT_EQ(on.store.get(ours + "/state"), "4");
    on.say(4);
    ASSERT_TRUE(finish_network(*card).ok());
    EXPECT_TRUE(card->link_up());
    send(*card);
    EXPECT_EQ(card->counters().sent_packets, 1u);
}

TEST(xen_network, one_whose_backend_joins_late_is_there_and_its_link_comes_later) {
    card_rig& on = card_rig::make();
    net::net_device* card = on.offer();
    ASSERT_NE(card, nullptr);
    on.with_time_passing([&] { ASSERT_TRUE(finish_network(*card).ok()); });
    EXPECT_FALSE(card->link_up());
    card->start(on.told);
    send(*card);
    EXPECT_EQ(card->counters().sent_dropped, 1u) << "nobody would take it off the ring";
    on.say(4);
    wait_for([&] { return on.told.ups == 1; });
    EXPECT_TRUE(card->link_up());
    send(*card);
    EXPECT_EQ(card->counters().sent_packets, 1u);
    EXPECT_EQ(on.told.downs, 0u);
}

TEST(xen_network, one_whose_backend_closes_instead_of_joining_is_not_used) {
    for (const u64 state : {5, 6}) {
        card_rig& on = card_rig::make();
        net::net_device* card = on.offer();
        ASSERT_NE(card, nullptr);
        on.say(state);
        EXPECT_EQ(finish_network(*card).error(), err::io);
        EXPECT_EQ(on.store.get(ours + "/state"), "6");
    }
}

TEST(xen_network, one_whose_backend_closes_before_it_has_joined_is_not_used_any_more) {
    card_rig& on = card_rig::make();
    net::net_device* card = on.offer();
    ASSERT_NE(card, nullptr);
    on.with_time_passing([&] { ASSERT_TRUE(finish_network(*card).ok()); });
    card->start(on.told);
    on.say(5);
    wait_for([&] { return on.store.get(ours + "/state") == "6"; });
    on.say(4);
    EXPECT_FALSE(card->link_up());
}

TEST(xen_network, a_backend_that_goes_takes_the_link_with_it) {
    card_rig& on = card_rig::make();
    net::net_device* card = on.offer();
    ASSERT_NE(card, nullptr);
    on.say(4);
    ASSERT_TRUE(finish_network(*card).ok());
    card->start(on.told);
    on.say(5);
    wait_for([&] { return on.told.downs == 1; });
    EXPECT_EQ(on.store.get(ours + "/state"), "6");
}

TEST(xen_network, the_backend_pulls_the_cable_and_plugs_it) {
    card_rig& on = card_rig::make();
    net::net_device* card = on.offer();
    ASSERT_NE(card, nullptr);
    on.store.set(theirs + "/carrier", 0);
    on.say(4);
    ASSERT_TRUE(finish_network(*card).ok());
    EXPECT_FALSE(card->link_up());
    card->start(on.told);
    on.store.set(theirs + "/carrier", 1);
    wait_for([&] { return on.told.ups == 1; });
    on.store.set(theirs + "/carrier", 0);
    wait_for([&] { return on.told.downs == 1; });
}

TEST(xen_network, one_that_cannot_be_used_is_given_up) {
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {theirs + "/feature-rx-copy", "0"}, {ours + "/mac", "01:00:5e:00:00:01"}}) {
        card_rig& on = card_rig::make();
        on.store.set(name, value);
        EXPECT_FALSE(offer_network("0").ok()) << name;
        EXPECT_EQ(on.store.get(ours + "/state"), "6");
    }
}

}  // namespace
}  // namespace kiln::xen
