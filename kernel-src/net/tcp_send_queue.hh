// Bytes that a TCP socket has to send or has sent and not yet seen acknowledged, in chunks. Segments
// point into the chunks, so nothing is copied to send, or to send again.
// Not locked: the socket's lock guards it.
#pragma once

#include "core/io_vector.hh"
#include "lib/assert.hh"
#include "net/packet_buffer.hh"

namespace kiln::net {

class tcp_send_queue : noncopyable {
public:
    ~tcp_send_queue() { clear(); }

    usize size() const { return _size; }
    bool empty() const { return _size == 0; }
    // Copies up to `limit` bytes from `from` to the end. May sleep on user memory.
    result<usize> append(io_vector& from, usize limit);
    // Drops bytes from the front.
    void drop(usize size);
    // Appends [offset, offset + size) to a packet as fragments; how many bytes found place.
    usize attach(packet_buffer& to, usize offset, usize size);
    void clear();

private:
    struct piece : noncopyable {
        list_node link;
        ref<chunk> memory;
        u32 first = 0;
        u32 last = 0;
    };
    // A piece lies at the start of its own chunk's memory, so that it costs no allocation.
    static result<piece*> make_piece(usize wanted);
    static void free_piece(piece& gone);
    piece* seek(usize& offset);

    list<piece, &piece::link> _pieces;
    usize _size = 0;
    // Where the last attach began: segments are sent in order, so the next begins near.
    piece* _cursor = nullptr;
    usize _cursor_offset = 0;  // of the cursor piece's first byte
};

}  // namespace kiln::net
