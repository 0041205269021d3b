// Pipes, eventfd and epoll: bytes, readiness, edges, and threads that wait.
#include <thread>

#include "fs/epoll.hh"
#include "fs/eventfd.hh"
#include "fs/pipe.hh"
#include "tests/fs_rig.hh"
#include "tests/host/host.hh"

namespace kiln {
namespace {

using test::error_of;
constexpr u32 edge = 1u << 31, one_shot = 1u << 30, exclusive = 1u << 28;

class event_list final : public epoll_sink {
public:
    bool put(const epoll_event& event) override {
        events.push_back(event);
        return true;
    }
    std::vector<epoll_event> events;
};

std::vector<epoll_event> ready_now(epoll_file& epoll, usize limit = 64) {
    event_list found;
    auto count = epoll.wait(found, limit, 0);
    EXPECT_TRUE(count.ok());
    EXPECT_EQ(count.value(), found.events.size());
    return found.events;
}

int put_value(file& to, u64 value) {
    io_vector from = io_vector::kernel(&value, 8);
    u64 ignored = 0;
    return error_of(to.write(from, ignored));
}

u64 take_value(file& from) {
    u64 value = 0;
    io_vector to = io_vector::kernel(&value, 8);
    u64 ignored = 0;
    auto count = from.read(to, ignored);
    return count.ok() ? value : ~u64{0};
}

std::string take_text(file& from, usize size) {
    std::string text(size, '\0');
    io_vector to = io_vector::kernel(text.data(), size);
    u64 ignored = 0;
    auto count = from.read(to, ignored);
    if (!count.ok()) {
        return "error " + std::to_string(error_of(count));
    }
    text.resize(count.value());
    return text;
}

TEST(pipe, carries_bytes_until_the_writer_goes) {
    pipe_ends ends = make_pipe(open_flag::nonblock).take();
    EXPECT_EQ(take_text(*ends.reader, 10), "error 11");
    EXPECT_EQ(test::write_at(*ends.writer, 0, "hello"), 5);
    EXPECT_EQ(take_text(*ends.reader, 3), "hel");
    EXPECT_EQ(take_text(*ends.reader, 10), "lo");
    EXPECT_EQ(ends.reader->poll_events(), 0u);
    ends.writer = nullptr;
    EXPECT_EQ(ends.reader->poll_events(), poll_event::hangup);
    EXPECT_EQ(take_text(*ends.reader, 10), "");
}

TEST(pipe, small_writes_are_atomic_and_large_ones_are_not) {
    pipe_ends ends = make_pipe(open_flag::nonblock).take();
    EXPECT_EQ(test::write_at(*ends.writer, 0, std::string(65536 - 100, 'a')), 65536 - 100);
    EXPECT_EQ(test::write_at(*ends.writer, 0, std::string(200, 'b')), -EAGAIN);
    EXPECT_EQ(test::write_at(*ends.writer, 0, std::string(5000, 'c')), 100);
    EXPECT_EQ(test::write_at(*ends.writer, 0, "d"), -EAGAIN);
    EXPECT_EQ(ends.writer->poll_events() & poll_event::out, 0u);
    ends.reader = nullptr;
    EXPECT_EQ(test::write_at(*ends.writer, 0, "e"), -EPIPE);
    EXPECT_NE(ends.writer->poll_events() & poll_event::error, 0u);
}

TEST(pipe, a_reader_waits_for_a_writer_in_another_thread) {
    pipe_ends ends = make_pipe(0).take();
    std::string sent, got;
    for (int i = 0; i < 300000; ++i) {
        sent.push_back(static_cast<char>(i * 7 / 3));
    }
    std::thread writer([&] {
        EXPECT_EQ(test::write_at(*ends.writer, 0, sent), static_cast<int>(sent.size()));
        ends.writer = nullptr;
    });
    for (std::string piece = take_text(*ends.reader, 7777); !piece.empty();
         piece = take_text(*ends.reader, 7777)) {
        got += piece;
    }
    writer.join();
    EXPECT_TRUE(got == sent);
}

TEST(pipe, changes_its_capacity) {
    pipe_ends ends = make_pipe(open_flag::nonblock).take();
    pipe_buffer& pipe = *ends.reader->as_pipe();
    EXPECT_EQ(pipe.set_capacity(1).value_or(0), 4096u);
    EXPECT_EQ(test::write_at(*ends.writer, 0, std::string(5000, 'x')), 4096);
    EXPECT_EQ(pipe.set_capacity(5000).value_or(0), 8192u);
    EXPECT_EQ(error_of(pipe.set_capacity(4096)), 0);
    EXPECT_EQ(error_of(pipe.set_capacity(2 * MiB)), EPERM);
    EXPECT_EQ(take_text(*ends.reader, 9000), std::string(4096, 'x'));
}

TEST(eventfd, counts_and_waits) {
    ref<file> counter = make_eventfd(3, false, open_flag::nonblock).take();
    EXPECT_EQ(take_value(*counter), 3u);
    EXPECT_EQ(take_value(*counter), ~u64{0});
    EXPECT_EQ(put_value(*counter, ~u64{0}), EINVAL);
    EXPECT_EQ(put_value(*counter, ~u64{0} - 1), 0);
    EXPECT_EQ(put_value(*counter, 1), EAGAIN);
    EXPECT_EQ(counter->poll_events() & poll_event::out, 0u);
    ref<file> semaphore = make_eventfd(2, true, open_flag::nonblock).take();
    EXPECT_EQ(take_value(*semaphore), 1u);
    EXPECT_EQ(take_value(*semaphore), 1u);
    EXPECT_EQ(take_value(*semaphore), ~u64{0});
}

class epoll : public testing::Test {
protected:
    void SetUp() override {
        poller = make_ref<epoll_file>().take();
        counter = make_eventfd(0, false, open_flag::nonblock).take();
    }
    ref<epoll_file> poller;
    ref<file> counter;
};

TEST_F(epoll, level_triggered_reports_while_it_holds) {
    ASSERT_TRUE(poller->add(*counter, 3, {poll_event::in, 77}).ok());
    EXPECT_EQ(error_of(poller->add(*counter, 3, {poll_event::in, 77})), EEXIST);
    EXPECT_TRUE(poller->add(*counter, 4, {poll_event::out, 78}).ok());
    ASSERT_EQ(ready_now(*poller).size(), 1u);
    EXPECT_EQ(put_value(*counter, 1), 0);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(ready_now(*poller).size(), 2u);
    }
    EXPECT_EQ(ready_now(*poller, 1).size(), 1u);
    take_value(*counter);
    ASSERT_EQ(ready_now(*poller).size(), 1u);
    ASSERT_TRUE(poller->remove(*counter, 4).ok());
    EXPECT_EQ(error_of(poller->remove(*counter, 4)), ENOENT);
    EXPECT_EQ(ready_now(*poller).size(), 0u);
}

TEST_F(epoll, edge_triggered_reports_each_change_once) {
    ASSERT_TRUE(poller->add(*counter, 3, {poll_event::in | edge, 1}).ok());
    EXPECT_EQ(put_value(*counter, 1), 0);
    EXPECT_EQ(ready_now(*poller).size(), 1u);
    EXPECT_EQ(ready_now(*poller).size(), 0u);
    EXPECT_EQ(put_value(*counter, 1), 0);
    EXPECT_EQ(ready_now(*poller).size(), 1u);
    EXPECT_EQ(take_value(*counter), 2u);
    EXPECT_EQ(ready_now(*poller).size(), 0u);
}

TEST_F(epoll, one_shot_needs_to_be_armed_again) {
    ASSERT_TRUE(poller->add(*counter, 3, {poll_event::in | one_shot, 1}).ok());
    EXPECT_EQ(put_value(*counter, 1), 0);
    EXPECT_EQ(ready_now(*poller).size(), 1u);
    EXPECT_EQ(put_value(*counter, 1), 0);
    EXPECT_EQ(ready_now(*poller).size(), 0u);
    ASSERT_TRUE(poller->modify(*counter, 3, {poll_event::in | one_shot, 9}).ok());
    auto found = ready_now(*poller);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(u64{found[0].data}, 9u);
}

TEST_F(epoll, refuses_loops_and_wrong_exclusive) {
    ref<epoll_file> inner = make_ref<epoll_file>().take();
    ASSERT_TRUE(poller->add(*inner, 5, {poll_event::in, 1}).ok());
    EXPECT_EQ(error_of(inner->add(*poller, 6, {poll_event::in, 1})), ELOOP);
    EXPECT_EQ(error_of(poller->add(*inner, 7, {poll_event::in | exclusive, 1})), EINVAL);
    EXPECT_EQ(error_of(poller->add(*counter, 8, {poll_event::pri | exclusive, 1})), EINVAL);
    ASSERT_TRUE(poller->add(*counter, 8, {poll_event::in | exclusive, 1}).ok());
    EXPECT_EQ(error_of(poller->modify(*counter, 8, {poll_event::in, 1})), EINVAL);
}

TEST_F(epoll, a_nested_one_is_ready_when_something_in_it_is) {
    ref<epoll_file> inner = make_ref<epoll_file>().take();
    ASSERT_TRUE(inner->add(*counter, 3, {poll_event::in, 1}).ok());
    ASSERT_TRUE(poller->add(*inner, 5, {poll_event::in, 2}).ok());
    EXPECT_EQ(ready_now(*poller).size(), 0u);
    EXPECT_EQ(put_value(*counter, 1), 0);
    auto found = ready_now(*poller);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(u64{found[0].data}, 2u);
    take_value(*counter);
    EXPECT_EQ(ready_now(*poller).size(), 0u);
}

TEST_F(epoll, forgets_a_file_that_is_closed) {
    ASSERT_TRUE(poller->add(*counter, 3, {poll_event::in, 1}).ok());
    EXPECT_EQ(put_value(*counter, 1), 0);
    counter = nullptr;
    EXPECT_EQ(ready_now(*poller).size(), 0u);
}

TEST_F(epoll, wakes_a_waiting_thread) {
    ASSERT_TRUE(poller->add(*counter, 3, {poll_event::in, 1}).ok());
    std::atomic<int> rounds{0};
    std::thread waiter([&] {
        for (int i = 0; i < 200; ++i) {
            event_list found;
            EXPECT_EQ(poller->wait(found, 4, never).value_or(0), 1u);
            take_value(*counter);
            ++rounds;
        }
    });
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(put_value(*counter, 1), 0);
        while (rounds <= i) {
            std::this_thread::yield();
        }
    }
    waiter.join();
}

TEST_F(epoll, survives_closing_while_it_scans) {
    std::atomic<bool> stop{false};
    std::thread scanner([&] {
        while (!stop) {
            event_list found;
            static_cast<void>(poller->wait(found, 16, 0));
        }
    });
    for (int i = 0; i < 3000; ++i) {
        ref<file> brief = make_eventfd(1, false, open_flag::nonblock).take();
        ASSERT_TRUE(poller->add(*brief, i, {poll_event::in | (i % 2 == 0 ? edge : 0), 1}).ok());
        put_value(*brief, 1);
    }
    stop = true;
    scanner.join();
    EXPECT_EQ(ready_now(*poller).size(), 0u);
}

}  // namespace
}  // namespace kiln
