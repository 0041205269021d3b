// Pending signals, the choice of the next one, masks, and what becomes of interrupted calls.
#include <gtest/gtest.h>

#include "lib/result.hh"
#include "linux/signal_queue.hh"

namespace kiln {
namespace {

queued_signal* make(int signo, u64 value) {
    auto* entry = new queued_signal;
    entry->info.signo = signo;
    entry->info.code = si_code::queue;
    entry->info.sender.value = value;
    return entry;
}

class pending_test : public testing::Test {
protected:
    ~pending_test() override {
        pending.discard(~signal_set{0}, freed);
        free_all();
    }
    usize free_all() {
        usize count = 0;
        while (queued_signal* entry = freed.pop_front()) {
            delete entry;
            ++count;
        }
        return count;
    }

    pending_signals pending;
    pending_signals::entry_list freed;
};

TEST_F(pending_test, standard_signals_pend_once) {
    EXPECT_FALSE(pending.absorbs(signo::usr1));
    pending.add(*make(signo::usr1, 1));
    EXPECT_TRUE(pending.absorbs(signo::usr1));
    EXPECT_EQ(pending.take(signo::usr1, freed).sender.value, 1u);
    EXPECT_FALSE(pending.has(signo::usr1));
    EXPECT_EQ(free_all(), 1u);
}

TEST_F(pending_test, realtime_signals_queue_in_order) {
    for (u64 value = 0; value < 3; ++value) {
        EXPECT_FALSE(pending.absorbs(40));
        pending.add(*make(40, value));
    }
    for (u64 value = 0; value < 3; ++value) {
        EXPECT_EQ(pending.next(~signal_set{0}), 40);
        EXPECT_EQ(pending.take(40, freed).sender.value, value);
    }
    EXPECT_EQ(pending.next(~signal_set{0}), 0);
    EXPECT_EQ(free_all(), 3u);
}

TEST_F(pending_test, faults_come_first_then_the_lowest_number) {
    pending.mark(signo::hup);
    pending.mark(signo::term);
    pending.mark(signo::segv);
    EXPECT_EQ(pending.next(~signal_set{0}), signo::segv);
    EXPECT_EQ(pending.next(~signal_bit(signo::segv)), signo::hup);
    EXPECT_EQ(pending.next(signal_bit(signo::term)), signo::term);
    EXPECT_EQ(pending.next(signal_bit(signo::usr1)), 0);
}

TEST_F(pending_test, a_mark_without_entry_reads_as_sent_by_the_kernel) {
    pending.mark(signo::alrm);
    const signal_info info = pending.take(signo::alrm, freed);
    EXPECT_EQ(info.signo, signo::alrm);
    EXPECT_EQ(info.code, si_code::kernel);
    EXPECT_EQ(pending.set(), 0u);
}

TEST_F(pending_test, discarding_forgets_only_what_it_should) {
    pending.add(*make(40, 1));
    pending.add(*make(41, 2));
    pending.add(*make(40, 3));
    pending.discard(signal_bit(40), freed);
    EXPECT_EQ(free_all(), 2u);
    EXPECT_EQ(pending.set(), signal_bit(41));
}

TEST_F(pending_test, a_timers_entry_is_told_and_never_freed) {
    static int taken = 0;
    taken = 0;
    queued_signal entry;
    entry.info.signo = signo::alrm;
    entry.taken = [](queued_signal& which) {
        ++taken;
        which.info.timer.overrun = 7;
    };
    pending.add(entry);
    const signal_info info = pending.take(signo::alrm, freed);
    EXPECT_EQ(taken, 1);
    EXPECT_EQ(info.timer.overrun, 7);
    EXPECT_EQ(free_all(), 0u);

    pending.add(entry);
    pending.withdraw(entry);
    EXPECT_EQ(taken, 1);
    EXPECT_EQ(pending.set(), 0u);
}

TEST(signal_actions, stop_signals_and_the_harmless_are_ignored_by_default) {
    const signal_action by_default;
    for (int signo : {signo::chld, signo::cont, signo::urg, signo::winch, signo::stop, signo::tstp,
                      signo::ttin, signo::ttou}) {
        EXPECT_TRUE(is_ignored(signo, by_default)) << signo;
    }
    for (int signo : {signo::term, signo::kill, signo::segv, signo::pipe, signo::usr1, 33, 64}) {
        EXPECT_FALSE(is_ignored(signo, by_default)) << signo;
    }
    EXPECT_TRUE(is_ignored(signo::term, {.handler = sig_ign}));
    EXPECT_FALSE(is_ignored(signo::chld, {.handler = 0x1000}));
}

TEST(signal_actions, the_mask_in_a_handler) {
    const signal_action plain{.handler = 0x1000, .mask = signal_bit(signo::usr2)};
    EXPECT_EQ(mask_in_handler(signal_bit(signo::hup), signo::usr1, plain),
              signal_bit(signo::hup) | signal_bit(signo::usr1) | signal_bit(signo::usr2));
    const signal_action nodefer{.handler = 0x1000, .flags = sa_flag::nodefer};
    EXPECT_EQ(mask_in_handler(0, signo::usr1, nodefer), 0u);
    const signal_action everything{.handler = 0x1000, .mask = ~signal_set{0}};
    EXPECT_EQ(mask_in_handler(0, signo::usr1, everything), ~unblockable_signals);
}

i64 negated(err error) {
    return -static_cast<i64>(error);
}

TEST(interrupted_calls, restart_as_linux_does) {
    using enum restart_decision;
    EXPECT_EQ(decide_restart(5, true, 0), none);
    EXPECT_EQ(decide_restart(negated(err::intr), true, sa_flag::restart), none);
    EXPECT_EQ(decide_restart(negated(err::restart_sys), true, 0), fail);
    EXPECT_EQ(decide_restart(negated(err::restart_sys), true, sa_flag::restart), again);
    EXPECT_EQ(decide_restart(negated(err::restart_sys), false, 0), again);
    EXPECT_EQ(decide_restart(negated(err::restart_nohand), true, sa_flag::restart), fail);
    EXPECT_EQ(decide_restart(negated(err::restart_nohand), false, 0), again);
    EXPECT_EQ(decide_restart(negated(err::restart_nointr), true, 0), again);
    EXPECT_EQ(decide_restart(negated(err::restart_block), true, sa_flag::restart), fail);
    EXPECT_EQ(decide_restart(negated(err::restart_block), false, 0), resume_block);
}

}  // namespace
}  // namespace kiln
