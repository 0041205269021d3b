// The pair of descriptor rings of an Intel gigabit controller (8254x manual, 3.2 and 3.3).
//
// Neither ring holds an index that the device chooses: it marks descriptors as done, in order, and all
// that is taken from one are flags and a length, which is checked. A buffer holds every frame that the
// device may receive as long as long frames are not enabled (1522 bytes).
#pragma once

#include "drivers/e1000/registers.hh"
#include "drivers/nic/rings.hh"

namespace kiln::e1000 {

class rings final : public nic::rings {
public:
    static constexpr u32 entries = 256;
    static constexpr usize ring_bytes = entries * sizeof(receive_descriptor);
    static constexpr u32 largest_piece = 8192;
    // Not a register access for each buffer.
    static constexpr u32 refill_step = 32;

    // `memory` are two rings, zeroed and aligned to a page: first the one to receive. `registers` are
    // the device's. The causes are those of interrupts that are allowed always, and for frames sent.
    void init(std::byte* memory, volatile u8* registers, u32 receive_causes, u32 sent_causes);
    // Tells the device where they are and how large; not to be used before.
    void program();

    nic::received take(net::packet_ptr& frame) override;
    bool has_received() const override;
    bool refill() override;
    nic::placed put(net::packet_buffer& frame) override;
    bool reap(net::packet_queue& sent) override;
    bool has_sent() const override;
    void tell_device() override;
    void allow_interrupts(bool sent) override;
    void clear() override;

private:
    bool give_buffer();
    nic::received judge(const receive_descriptor& done, ref<net::chunk> buffer,
                        net::packet_ptr& frame);
    void program_ring(u32 base, const void* ring, u32 head);
    void put_context(const net::packet_buffer& frame);
    void put_piece(const std::byte* bytes, usize length, u32 command, u32 options);
    transmit_descriptor& next_transmit() { return _transmit[_added++ % entries]; }

    volatile u8* _registers = nullptr;
    u32 _receive_causes = 0;
    u32 _sent_causes = 0;

    receive_descriptor* _receive = nullptr;
    net::chunk* _buffers[entries]{};
    // Free-running: where the next finished one is looked for, and up to where buffers are given.
    u32 _taken = 0;
    u32 _given = 0;
    bool _inside_frame = false;  // of a frame that is longer than a buffer, and dropped

    transmit_descriptor* _transmit = nullptr;
    net::packet_buffer* _frames[entries]{};  // by first descriptor
    u32 _last_of[entries]{};                 // free-running index of the frame's last, likewise
    u32 _added = 0;
    u32 _told = 0;
    u32 _cleaned = 0;
    u64 _context = 0;  // the sums that the device has been told of; 0: none
    u32 _context_command = 0;
};

}  // namespace kiln::e1000
