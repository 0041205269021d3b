// A pair of rings of a network card and the thread that serves it.
//
// Receiving: the thread takes frames off the ring, refills it and hands them to the stack. While it
// works the device does not interrupt; an interrupt only wakes it.
// Sending: the caller puts the frame on the ring itself. What is sent is taken off by whoever sends
// next or by the thread; the device interrupts for it only while frames wait for room.
// A device that breaks its rings, interrupts without end, or does not send for seconds is reported to
// its card, which resets it or switches it off.
// Locks: `_round` (by the thread, around its work), then `_transmit_lock`, before the packet pools'.
// Neither is taken by the interrupt handler.
#pragma once

#include <atomic>

#include "core/mutex.hh"
#include "core/spinlock.hh"
#include "core/wait_queue.hh"
#include "drivers/nic/rings.hh"
#include "net/net_device.hh"

namespace kiln::nic {

enum class trouble : u8 {
    none,
    broken_rings,
    interrupt_storm,
    not_sending,
    lifeless,       // nothing of what it does at regular times
    wants_reset,    // it asks for one
    failed,         // it says so itself
    strange_event,  // one that was not asked for
};
// What the device did, to be said after its name.
std::string_view sentence_of(trouble what);

// What the thread of a queue asks of its card. Context: that thread, with no lock held.
class card {
public:
    // Before each round: the link, events.
    virtual void look_round(u32 queue) = 0;
    // After it: what the card found there, in the queue that has to see to it.
    virtual trouble trouble_seen(u32) { return trouble::none; }
    // How long a queue's thread may sleep until it looks round again. Context: also under its locks.
    virtual u64 longest_sleep() const { return never; }
    // A queue cannot go on. True when it may try again, after a reset.
    virtual bool recover(trouble what) = 0;

protected:
    ~card() = default;
};

class queue_pair : noncopyable {
public:
    static constexpr usize longest_backlog = 256;
    static constexpr u32 frames_of_a_batch = 64;
    // Interrupts in a row for which there was nothing to do.
    static constexpr u32 most_idle_interrupts = 50'000;
    static constexpr u64 longest_send = 5 * ns_per_s;

    // The rings and the card outlive it. Without interrupts the thread looks by itself.
    void init(rings& served, card& of, u32 number, bool has_interrupts);
    // Starts the thread; on `cpu` unless that is max_cpus.
    result<void> start(std::string_view name, net::net_receiver& receiver, u32 cpu);
    // Where frames go, for tests that run the rounds themselves.
    void deliver_to(net::net_receiver& receiver) { _receiver = &receiver; }

    void transmit(net::packet_ptr frame, bool more);
    // Makes the thread look round. Context: any.
    void wake();
    // The same, from the interrupt handler; false when there were too many for nothing, so that the
    // handler silences the device.
    [[nodiscard]] bool wake_by_interrupt();
    void add_counters(net::device_counters& to) const;
    // Frames that a reset took from the ring. Between pause and resume.
    void count_lost(u64 frames);

    // No ring is touched between these two. Context: threads, holding no lock. They do not nest.
    void pause();
    void resume();

    // One round of the thread: whether there was work, and what stands in the way of more.
    struct outcome {
        bool worked;
        trouble what;
    };
    outcome round();
    // What the thread does between two sleeps: looks, a round, and recovery where it is needed.
    enum class turn_end : u8 { worked, idle, over };
    turn_end turn();

private:
    static void run_thread(void* context) { static_cast<queue_pair*>(context)->serve(); }

    void serve();
    void wait_for_work();
    u64 next_look() const;
    bool receive_batch(u32& frames);
    bool send_backlog(u32& sent);
    bool reap(net::packet_queue& finished);
    void keep_or_drop(net::packet_ptr frame);
    placed put(net::packet_buffer& frame);

    rings* _rings = nullptr;
    card* _card = nullptr;
    u32 _number = 0;
    bool _has_interrupts = true;
    bool _starved = false;
    net::net_receiver* _receiver = nullptr;

    std::atomic<bool> _work{false};
    std::atomic<u32> _idle_interrupts{0};
    wait_queue _thread_queue;
    mutex _round;

    spinlock _transmit_lock;
    net::packet_queue _backlog;
    bool _paused = false;
    bool _broken = false;  // by the transmit ring
    u64 _last_sent = 0;    // when something was last sent while frames waited

    std::atomic<u64> _received_packets{0}, _received_bytes{0}, _received_dropped{0};
    std::atomic<u64> _sent_packets{0}, _sent_bytes{0}, _sent_dropped{0};
};

}  // namespace kiln::nic
