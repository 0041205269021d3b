// Packets and the memory they lie in.
//
// A `chunk` is contiguous memory in the direct map (so a driver may hand its physical address to a
// device), shared by reference count: a received frame's buffer, or a piece of a socket's send queue
// that several segments point into. A `packet_buffer` is one packet: a linear part, which starts with
// the headers, and fragments that follow it. The linear part is either the room inside the packet
// (packets that we send: headers are put in front with `push`) or a chunk (received frames).
//
// A packet has one owner, a `packet_ptr`; the last byte of it is gone with it. Both kinds of object
// come from per-CPU free lists; some chunks are kept back for receive buffers alone, so that sockets
// which hoard data cannot starve a device.
// Locks: each free list's spin lock, innermost. Context: any but interrupt handlers.
#pragma once

#include <new>
#include <span>

#include "lib/list.hh"
#include "lib/ref.hh"
#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln::net {

class interface;

enum class chunk_size : u8 { small, large };

class chunk : public ref_counted<chunk> {
public:
    static constexpr usize header_size = 64;
    static constexpr usize small_total = 2048;
    static constexpr usize large_total = 16384;

    static result<ref<chunk>> allocate(chunk_size size);
    // A small chunk, from the reserve when nothing else is left. For drivers' receive rings.
    static result<ref<chunk>> allocate_for_receive();

    std::byte* data() { return reinterpret_cast<std::byte*>(this) + header_size; }
    usize capacity() const {
        return (_size == chunk_size::small ? small_total : large_total) - header_size;
    }
    void last_reference();

    list_node link;  // free list

private:
    friend class chunk_pool;
    chunk_size _size = chunk_size::small;
};
static_assert(sizeof(chunk) <= chunk::header_size);

// What the device is asked to finish in a packet that is sent. Offsets count from the first byte of
// the frame.
struct transmit_offload {
    enum class segmentation : u8 { none, tcp4, tcp6 };

    bool checksum = false;    // the field holds the pseudo-header's sum; add the rest to it
    u16 checksum_start = 0;   // where the transport header begins
    u16 checksum_offset = 0;  // of the field, from there
    segmentation kind = segmentation::none;
    u16 segment_size = 0;     // payload bytes of each segment (the MSS)
    u16 header_size = 0;      // bytes of all headers, repeated in each segment
};

struct fragment {
    chunk* owner;  // one reference, held by the packet
    std::byte* data;
    u32 length;
};

class packet_buffer;
using packet_ptr = unique<packet_buffer>;

class packet_buffer : noncopyable {
public:
    // Room for Ethernet + IPv6 + TCP with all its options.
    static constexpr usize head_room = 144;
    static constexpr usize max_fragments = 18;

    // An empty packet to be sent; its linear part grows downwards from the end of the room.
    static result<packet_ptr> make();
    // A received frame: bytes [offset, offset + length) of the chunk.
    static result<packet_ptr> make_received(ref<chunk> from, usize offset, usize length);

    ~packet_buffer();
    static void* operator new(usize size, const std::nothrow_t&) noexcept;
    static void operator delete(void* memory) noexcept;

    // The linear part, and the bytes of the whole packet.
    std::byte* data() { return _data; }
    const std::byte* data() const { return _data; }
    usize linear_size() const { return _linear; }
    usize size() const { return _size; }

    // Takes `size` bytes in front of the linear part; there must be room.
    std::byte* push(usize size);
    // Drops bytes from the front, at most the linear part.
    void pull(usize size);
    // Drops bytes from the front or cuts the packet to a size, through the fragments where needed.
    void drop_front(usize size);
    void trim(usize size);
    // Makes the first `size` bytes contiguous; false when there are fewer, or memory is out.
    bool linearise(usize size);

    std::span<const fragment> fragments() const { return {_fragments, _fragment_count}; }
    // False when there is no place for one more.
    bool append(ref<chunk> owner, std::byte* bytes, usize length);
    // Another packet on the same memory.
    result<packet_ptr> clone() const;
    // Copies the other packet's bytes behind our own, if ours lie in memory that nobody shares and
    // that has the room.
    bool absorb(const packet_buffer& other);
    // Copies out of any part of the packet; the range must lie inside.
    void copy_out(usize offset, void* to, usize size) const;
    // Calls `visit(std::span<const std::byte>)` for the bytes [offset, offset + size) in order; stops
    // when it returns false.
    template <class Visit>
    void for_each_piece(usize offset, usize size, Visit visit) const;
    // Memory it pins, for accounting.
    usize true_size() const;

    transmit_offload offload;
    bool checksum_valid = false;  // received: the device, or loopback, vouches for the transport sum
    bool is_loopback = false;
    bool is_broadcast = false;    // received by link-layer broadcast or multicast
    u16 network_offset = 0;       // received: bytes from the frame's start to the IP header, pulled since
    interface* from = nullptr;    // where it was received
    // Filled in by the IP layer for the transport layer.
    u64 sequence = 0;             // scratch of the protocol that owns it
    std::byte* network_header = nullptr;
    packet_buffer* next = nullptr;  // link of the queue or channel it is on

private:
    packet_buffer() = default;

    std::byte* _data = _room + head_room;
    u32 _linear = 0;
    u32 _size = 0;
    u32 _fragment_count = 0;
    chunk* _owner = nullptr;  // of the linear part; null: the room
    std::byte _room[head_room];
    fragment _fragments[max_fragments];
};

template <class Visit>
void packet_buffer::for_each_piece(usize offset, usize size, Visit visit) const {
    auto give = [&](const std::byte* piece, usize length) {
        if (offset >= length) {
            offset -= length;
            return true;
        }
        const usize taken = length - offset < size ? length - offset : size;
        const bool more = taken == 0 || visit(std::span<const std::byte>(piece + offset, taken));
        offset = 0;
        size -= taken;
        return more && size != 0;
    };
    if (!give(_data, _linear)) {
        return;
    }
    for (const fragment& part : fragments()) {
        if (!give(part.data, part.length)) {
            return;
        }
    }
}

// Packets in order, singly linked; owns them. Not locked.
class packet_queue : noncopyable {
public:
    ~packet_queue() { clear(); }
    bool empty() const { return _first == nullptr; }
    usize count() const { return _count; }
    packet_buffer* front() const { return _first; }
    packet_buffer* back() const { return _last; }
    void push_back(packet_ptr packet);
    packet_ptr pop_front();
    void clear();

private:
    packet_buffer* _first = nullptr;
    packet_buffer* _last = nullptr;
    usize _count = 0;
};

// Fills the reserve of receive chunks; called once at start.
result<void> reserve_receive_chunks(usize count);

}  // namespace kiln::net
