// The store's client against a model of the host's daemon, honest and not.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <thread>

#include "drivers/xen/shutdown.hh"
#include "drivers/xen/store_text.hh"
#include "drivers/xen/xenstore.hh"
#include "tests/host/xen_machine.hh"

namespace kiln {
namespace {

using host::store_host;
using host::xen_machine;
namespace store = xen::xenstore;
using xen::store_message;

// The machine's own store, opened once.
store_host& the_store() {
    static const bool opened = [] {
        xen_machine::the();
        return store::start().ok();
    }();
    EXPECT_TRUE(opened);
    return xen_machine::the().store();
}

template <class Condition>
bool soon(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
        if (condition()) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return condition();
}

std::string text(result<string> of) {
    return of.ok() ? std::string(of.value().view()) : "error";
}

TEST(xen_store, writes_reads_lists_and_removes) {
    the_store();
    ASSERT_TRUE(store::available());
    ASSERT_TRUE(store::write("data/one", "1").ok());
    ASSERT_TRUE(store::write("data/two", "").ok());
    ASSERT_TRUE(store::write_number("data/three/deep", 18'446'744'073'709'551'615u).ok());
    EXPECT_EQ(text(store::read("data/one")), "1");
    EXPECT_EQ(text(store::read("data/two")), "");
    EXPECT_EQ(text(store::read("/local/domain/7/data/one")), "1");
    EXPECT_EQ(store::read_number("data/three/deep").take(), ~u64{0});
    result<vector<string>> names = store::list("data");
    ASSERT_TRUE(names.ok());
    ASSERT_EQ(names.value().size(), 3u);
    EXPECT_EQ(names.value()[1].view(), "three");
    ASSERT_TRUE(store::remove("data").ok());
    EXPECT_EQ(store::read("data/one").error(), err::noent);
    EXPECT_EQ(store::list("data").error(), err::noent);
}

TEST(xen_store, refuses_what_it_cannot_send) {
    the_store();
    EXPECT_EQ(store::read("").error(), err::inval);
    EXPECT_EQ(store::read(std::string_view("a\0b", 3)).error(), err::inval);
    EXPECT_EQ(store::read(std::string(3073, 'p')).error(), err::nametoolong);
    EXPECT_EQ(store::write("p", std::string(4095, 'v')).error(), err::too_big);
    const std::string longest(4094, 'v');
    ASSERT_TRUE(store::write("p", longest).ok());
    EXPECT_EQ(text(store::read("p")), longest);
}

TEST(xen_store, numbers_are_numbers) {
    EXPECT_EQ(xen::parse_number("0").take(), 0u);
    EXPECT_EQ(xen::parse_number("18446744073709551615").take(), ~u64{0});
    for (const char* bad : {"", "-1", "1 ", "0x1", "18446744073709551616", "99999999999999999999999"}) {
        EXPECT_FALSE(xen::parse_number(bad).ok()) << bad;
    }
    EXPECT_FALSE(xen::parse_number("4294967296", ~u32{0}).ok());
    EXPECT_TRUE(xen::parse_number("4294967295", ~u32{0}).ok());
}

TEST(xen_store, answers_find_who_asked_in_whatever_order) {
    the_store().answer_backwards(5);
    std::atomic<bool> ending{false};
    std::thread releaser([&] {
        while (!ending) {
            the_store().answer_all();
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t) {
        threads.emplace_back([t] {
            for (int i = 0; i < 60; ++i) {
                const std::string path = "many/" + std::to_string(t) + "/" + std::to_string(i % 7);
                const std::string value = std::string(static_cast<usize>(i * 5), 'x') + path;
                ASSERT_TRUE(store::write(path, value).ok());
                ASSERT_EQ(text(store::read(path)), value);
            }
        });
    }
    for (std::thread& each : threads) {
        each.join();
    }
    ending = true;
    releaser.join();
    the_store().answer_backwards(0);
}

TEST(xen_store, transactions_happen_whole_or_not) {
    store_host& other = the_store();
    other.set("counter", "0");
    int attempts = 0;
    const auto done = store::in_transaction([&](store::transaction& t) -> result<void> {
        const u64 before = TRY(store::read_number("counter", t.id()));
        TRY(store::write_number("counter", before + 1, t.id()));
        if (attempts++ < 3) {
            other.set("counter", std::to_string(attempts * 10));
        }
        return {};
    });
    ASSERT_TRUE(done.ok());
    EXPECT_EQ(attempts, 4);
    EXPECT_EQ(other.get("counter"), "31");
    {
        store::transaction dropped;
        ASSERT_TRUE(dropped.begin().ok());
        ASSERT_TRUE(store::write("counter", "1000", dropped.id()).ok());
    }
    EXPECT_EQ(other.get("counter"), "31");
    EXPECT_EQ(other.transaction_count(), 0u);
}

TEST(xen_store, transactions_that_never_succeed_end) {
    store_host& other = the_store();
    int attempts = 0;
    const auto done = store::in_transaction([&](store::transaction& t) -> result<void> {
        ++attempts;
        TRY(store::write("mine", "1", t.id()));
        other.set("theirs", std::to_string(attempts));
        return {};
    });
    EXPECT_EQ(done.error(), err::again);
    EXPECT_EQ(attempts, static_cast<int>(store::most_attempts));
    const auto failed = store::in_transaction(
        [&](store::transaction&) -> result<void> { return err::nodev; });
    EXPECT_EQ(failed.error(), err::nodev);
    EXPECT_EQ(other.transaction_count(), 0u);
}

struct observer {
    std::mutex lock;
    std::vector<std::string> paths;
    u32 number = 0;
    static void note(void* of, std::string_view path) {
        auto& self = *static_cast<observer*>(of);
        std::lock_guard guard(self.lock);
        self.paths.emplace_back(path);
    }
    usize count() {
        std::lock_guard guard(lock);
        return paths.size();
    }
    bool saw(const std::string& path) {
        std::lock_guard guard(lock);
        return std::find(paths.begin(), paths.end(), path) != paths.end();
    }
};

TEST(xen_store, watches_tell_of_changes_until_they_are_ended) {
    store_host& other = the_store();
    const usize before = other.watch_count();
    observer seen;
    const result<u32> watch = store::watch("watched", observer::note, &seen);
    ASSERT_TRUE(watch.ok());
    EXPECT_TRUE(soon([&] { return seen.saw("watched"); }));
    other.set("watched/below", "1");
    EXPECT_TRUE(soon([&] { return seen.saw("watched/below"); }));
    ASSERT_TRUE(store::write("watched", "2").ok());
    store::unwatch(watch.value());
    EXPECT_EQ(other.watch_count(), before);
    const usize told = seen.count();
    other.set("watched/below", "3");
    other.say(store_message::watch_event, 0, std::string("watched\0", 8) + "1" + '\0');
    ASSERT_TRUE(store::read("watched").ok());
    EXPECT_EQ(seen.count(), told);
}

TEST(xen_store, handlers_may_ask_and_end_their_own_watch) {
    store_host& other = the_store();
    struct once {
        std::atomic<u32> number{0};
        std::atomic<int> calls{0};
        std::atomic<bool> left{false};
        static void handle(void* of, std::string_view path) {
            auto& self = *static_cast<once*>(of);
            EXPECT_TRUE(store::write("answer", path).ok());
            ++self.calls;
            while (self.number == 0) {
                std::this_thread::yield();
            }
            store::unwatch(self.number);
            self.left = true;
        }
    };
    static once state;
    state.number = store::watch("question", once::handle, &state).take();
    EXPECT_TRUE(soon([] { return state.left.load(); }));
    EXPECT_EQ(other.get("answer"), "question");
    other.set("question", "again");
    ASSERT_TRUE(store::read("answer").ok());
    EXPECT_EQ(state.calls, 1);
}

TEST(xen_store, a_flood_of_changes_is_told_shortly) {
    store_host& other = the_store();
    struct gate {
        std::mutex held;
        observer seen;
        static void handle(void* of, std::string_view path) {
            auto& self = *static_cast<gate*>(of);
            std::lock_guard guard(self.held);
            observer::note(&self.seen, path);
        }
    } state;
    const u32 watch = store::watch("flood", gate::handle, &state).take();
    ASSERT_TRUE(soon([&] { return state.seen.count() == 1; }));
    state.held.lock();
    for (int i = 0; i < 2000; ++i) {
        other.set("flood/" + std::to_string(i), "");
    }
    ASSERT_TRUE(store::read("flood/1999").ok());  // all of it has arrived
    state.held.unlock();
    EXPECT_TRUE(soon([&] { return state.seen.saw("flood"); }));
    EXPECT_LE(state.seen.count(), 600u);
    store::unwatch(watch);
}

TEST(xen_store, the_operator_is_heard_and_answered) {
    store_host& other = the_store();
    static std::atomic<int> poweroffs{0};
    static std::atomic<int> reboots{0};
    xen::watch_shutdown([](xen::operator_request asked) {
        ++(asked == xen::operator_request::reboot ? reboots : poweroffs);
    });
    EXPECT_EQ(other.get("control/feature-poweroff"), "1");
    EXPECT_EQ(other.get("control/feature-suspend"), "0");
    for (const char* word : {"poweroff", "halt", "reboot", "suspend", "nonsense"}) {
        other.set("control/shutdown", word);
        EXPECT_TRUE(soon([&] { return other.get("control/shutdown") == ""; })) << word;
    }
    EXPECT_TRUE(soon([] { return poweroffs == 2 && reboots == 1; }));
}

// A store of its own, with a host that says what the test wants. Neither ever ends.
struct conversation {
    xen::store_page page{};
    xen::store_client client;
    std::unique_ptr<store_host> other;

    static conversation& begin() {
        auto* made = new conversation;
        static std::vector<conversation*> kept;
        kept.push_back(made);
        made->other = std::make_unique<store_host>(
            made->page, [made] { made->client.on_event(); }, [made] { return made->client.works(); });
        const auto tell = [](void* of) { static_cast<conversation*>(of)->other->kick(); };
        EXPECT_TRUE(made->client.start(made->page, tell, made).ok());
        return *made;
    }
    result<string> read(std::string_view path) {
        const std::string_view pieces[] = {path, xen::nul};
        return client.request(store_message::read, pieces);
    }
};

TEST(hostile_store, silence_ends_a_request_and_not_the_store) {
    conversation& talk = conversation::begin();
    talk.client.set_limit(30 * ns_per_ms);
    std::atomic<u32> unanswered{0};
    talk.other->intercept([&](const store_host::message& m) {
        unanswered = m.header.request;
        return true;
    });
    EXPECT_EQ(talk.read("a").error(), err::timedout);
    talk.other->intercept(nullptr);
    talk.other->set("/local/domain/7/a", "value");
    talk.other->say(store_message::read, unanswered, "late");
    talk.client.set_limit(store::request_limit);
    EXPECT_EQ(text(talk.read("a")), "value");
    EXPECT_TRUE(talk.client.works());
}

TEST(hostile_store, that_reads_nothing_is_given_up) {
    static xen::store_page page;
    auto& deaf = *new xen::store_client;
    ASSERT_TRUE(deaf.start(page, [](void*) {}, nullptr).ok());
    deaf.set_limit(20 * ns_per_ms);
    const std::string path(900, 'p');
    const std::string_view pieces[] = {path, xen::nul};
    EXPECT_EQ(deaf.request(store_message::read, pieces).error(), err::timedout);
    EXPECT_TRUE(deaf.works());  // that message was sent whole
    EXPECT_EQ(deaf.request(store_message::read, pieces).error(), err::io);
    EXPECT_FALSE(deaf.works());
    EXPECT_EQ(deaf.request(store_message::read, pieces).error(), err::io);
}

TEST(hostile_store, wrong_kinds_and_numbers_of_answers_do_no_harm) {
    conversation& talk = conversation::begin();
    talk.other->set("/local/domain/7/a", "value");
    talk.other->intercept([&](const store_host::message& m) {
        talk.other->say(store_message::read, m.header.request + 100, "for nobody");
        talk.other->say(store_message::write, m.header.request, "wrong kind");
        return true;
    });
    EXPECT_EQ(talk.read("a").error(), err::proto);
    talk.other->intercept([&](const store_host::message& m) {
        talk.other->say(store_message::error, m.header.request, "ENOSUCHWORD");
        return true;
    });
    EXPECT_EQ(talk.read("a").error(), err::io);
    talk.other->intercept([&](const store_host::message& m) {
        talk.other->say(store_message::error, m.header.request, std::string("EACCES\0", 7));
        return true;
    });
    EXPECT_EQ(talk.read("a").error(), err::acces);
    talk.other->intercept(nullptr);
    EXPECT_EQ(text(talk.read("a")), "value");
}

TEST(hostile_store, watch_events_of_any_kind_do_no_harm) {
    conversation& talk = conversation::begin();
    observer seen;
    const u32 watch = talk.client.watch("w", observer::note, &seen).take();
    ASSERT_TRUE(soon([&] { return seen.count() == 1; }));
    const std::string token = std::to_string(watch) + '\0';
    for (const std::string& body :
         {std::string(), std::string(1, '\0'), std::string("no end"), std::string("w\0", 2),
          std::string("w\0x\0", 4), std::string("w\0999999999999\0", 15), std::string("w\0-1\0", 5),
          std::string("\0", 1) + token, std::string(4096, 'z'), std::string(4096, '\0')}) {
        talk.other->say(store_message::watch_event, 0, body);
    }
    talk.other->say(store_message::watch_event, 0, std::string("w/end\0", 6) + token);
    EXPECT_TRUE(soon([&] { return seen.saw("w/end"); }));
    EXPECT_EQ(seen.count(), 2u);
    EXPECT_TRUE(talk.client.works());
}

TEST(hostile_store, a_message_that_is_too_long_ends_it) {
    conversation& talk = conversation::begin();
    talk.other->intercept([&](const store_host::message& m) {
        const xen::store_header header{store_message::read, m.header.request, 0, 4097};
        talk.other->say(std::string(reinterpret_cast<const char*>(&header), sizeof(header)));
        return true;
    });
    EXPECT_EQ(talk.read("a").error(), err::io);
    EXPECT_FALSE(talk.client.works());
    EXPECT_EQ(talk.read("a").error(), err::io);
}

TEST(hostile_store, impossible_counters_end_it) {
    for (const bool answers : {false, true}) {
        conversation& talk = conversation::begin();
        talk.other->intercept([&](const store_host::message&) { return true; });
        std::thread breaker([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            (answers ? talk.page.answer_produced : talk.page.request_consumed) += 5000;
            talk.client.on_event();
        });
        if (answers) {
            EXPECT_EQ(talk.read("a").error(), err::io);
        } else {
            breaker.join();
            EXPECT_FALSE(talk.read("a").ok());
        }
        EXPECT_FALSE(talk.client.works());
        if (breaker.joinable()) {
            breaker.join();
        }
    }
}

TEST(hostile_store, random_bytes_do_no_harm) {
    for (u32 seed = 0; seed < 30; ++seed) {
        std::mt19937 random(seed);
        conversation& talk = conversation::begin();
        talk.client.set_limit(5 * ns_per_ms);
        talk.other->intercept([&](const store_host::message& m) {
            std::string bytes(random() % 600, '\0');
            for (char& each : bytes) {
                each = static_cast<char>(random());
            }
            const store_message kinds[] = {store_message::read, store_message::error,
                                           store_message::watch_event};
            talk.other->say(kinds[random() % 3], m.header.request - random() % 2, bytes);
            if (random() % 4 == 0) {
                talk.other->say(bytes);
            }
            return true;
        });
        for (int i = 0; i < 10; ++i) {
            static_cast<void>(talk.read("a"));
        }
        talk.other->intercept(nullptr);
    }
}

TEST(store_text, names_that_are_none_are_refused) {
    EXPECT_EQ(xen::split_names("").take().size(), 0u);
    EXPECT_EQ(xen::split_names(std::string_view("a\0bc\0", 5)).take().size(), 2u);
    EXPECT_FALSE(xen::split_names(std::string_view("a\0\0", 3)).ok());
    EXPECT_FALSE(xen::split_names("a").ok());
}

}  // namespace
}  // namespace kiln
