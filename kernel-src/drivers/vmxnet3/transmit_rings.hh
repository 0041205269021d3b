// What vmxnet3 sends from: a ring of descriptors, and the ring in which the device says which frames
// are sent. An index that it names there must be the end of a frame that is under way. Not locked.
#pragma once

#include "drivers/nic/rings.hh"
#include "drivers/vmxnet3/receive_rings.hh"

namespace kiln::vmxnet3 {

class transmit_rings {
public:
    static constexpr u32 entries = 256;
    static constexpr usize total_bytes = entries * (sizeof(descriptor) + sizeof(completion));

    // `memory` is zeroed and aligned to 512 bytes.
    void init(std::byte* memory);
    void describe(transmit_queue& to) const;

    nic::placed put(net::packet_buffer& frame);
    bool reap(net::packet_queue& sent);
    bool has_sent() const;
    // Where the next frame will begin, and whether the device has not been told of it.
    u32 place() const { return _added % entries; }
    bool has_news() const { return _told != _added; }
    void told() { _told = _added; }
    void clear();

private:
    bool prepare(net::packet_buffer& frame);
    u32 room() const { return entries - 1 - (_added - _cleaned); }
    void put_piece(const std::byte* bytes, usize length);
    bool finish(u32 index, net::packet_queue& sent);

    std::byte* _memory = nullptr;
    descriptor* _ring = nullptr;
    completion* _completed = nullptr;
    cursor _next;
    net::packet_buffer* _frames[entries]{};  // by first descriptor
    u32 _last_of[entries]{};                 // free-running index of the frame's last, likewise
    u32 _added = 0;
    u32 _told = 0;
    u32 _cleaned = 0;
};

}  // namespace kiln::vmxnet3
