// An NVMe controller: reset, queues, interrupts, and what happens when it stops answering.
//
// One I/O queue a CPU as far as the device has queues and messages for them; CPUs share where it
// has not. Admin commands are only given while the controller is being set up, by one thread, and
// polled for. A controller that fails or answers nonsense is reset, what was in flight is given
// again; one that cannot be reset is given up, and everything ends in errors.
//
// Lock: `_reset_lock` (sleeping) is held while it is being set up; before those of the queues.
#pragma once

#include "core/mutex.hh"
#include "core/thread.hh"
#include "drivers/interrupt_watch.hh"
#include "drivers/nvme/identity.hh"
#include "drivers/nvme/io_queue.hh"
#include "drivers/pci/pci.hh"

namespace kiln::nvme {

class controller : noncopyable {
public:
    controller(pci::function& function, u32 number) : _function(function), _number(number) {}

    // Sets it up for the first time.
    result<void> start();
    u32 number() const { return _number; }
    const controller_identity& identity() const { return _identity; }
    result<name_space_identity> identify_name_space(u32 number);
    u32 queues() const { return _queue_count; }

    // Gives a command and waits for it; again after a reset. err::io when the device says so, or is
    // given up.
    result<void> run(const command& made, std::span<const dma_piece> pieces);

private:
    static constexpr u32 most_queues = 16;
    struct connection {
        controller* owner;
        u32 first;  // the queues whose interrupt it is: first, first + step, …
        interrupt_watch watch;
    };

    static void on_interrupt(void* context);
    static void on_expiry(void* context);

    result<void> map_registers();
    result<void> bring_up();
    result<void> disable();
    result<void> wait_for_ready(bool ready);
    result<u32> admin_command(command made);
    result<void> identify(u32 what, u32 name_space);
    result<void> agree_on_queues();
    result<void> connect_interrupts();
    result<void> create_queue(u32 index);
    volatile u8* doorbell(u32 queue, bool of_completions) const;
    u32 messages_for_queues() const;
    io_queue& queue_of_this_cpu() { return _queues[this_cpu() % _queue_count]; }

    void look_again();
    void distrust();
    void switch_off();
    // Resets unless somebody has done so since `seen`, the generation that failed.
    void reset(u32 seen);
    void set_interrupt_mask(bool masked);

    pci::function& _function;
    const u32 _number;
    pci::interrupt_source _interrupts;
    volatile u8* _registers = nullptr;
    capabilities _capabilities{};
    u32 _stride = 4;

    queue_pair _admin;
    void* _admin_submission = nullptr;
    void* _admin_completion = nullptr;
    std::byte* _identify_page = nullptr;
    controller_identity _identity{};

    io_queue _queues[most_queues];
    connection _connections[most_queues]{};
    u32 _queue_count = 0;
    u32 _connection_count = 0;

    mutex _reset_lock;
    std::atomic<u32> _generation{0};
    std::atomic<bool> _distrusted{false};
    std::atomic<bool> _given_up{false};
};

}  // namespace kiln::nvme
