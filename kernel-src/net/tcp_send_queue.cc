#include "net/tcp_send_queue.hh"

#include <algorithm>

namespace kiln::net {

result<tcp_send_queue::piece*> tcp_send_queue::make_piece(usize wanted) {
    const bool small = wanted + sizeof(piece) <= chunk::small_total - chunk::header_size;
    ref<chunk> memory = TRY(chunk::allocate(small ? chunk_size::small : chunk_size::large));
    auto* made = new (memory->data()) piece;
    made->first = made->last = static_cast<u32>(align_up(sizeof(piece), 16));
    made->memory = std::move(memory);
    return made;
}

void tcp_send_queue::free_piece(piece& gone) {
    // Segments in flight still hold the chunk; the piece in it is dead all the same.
    ref<chunk> memory = std::move(gone.memory);
    gone.~piece();
}

result<usize> tcp_send_queue::append(io_vector& from, usize limit) {
    limit = std::min(limit, from.remaining());
    usize done = 0;
    while (done < limit) {
        piece* tail = _pieces.back();
        if (tail == nullptr || tail->last == tail->memory->capacity()) {
            auto made = make_piece(limit - done);
            if (!made.ok()) {
                return done != 0 ? result<usize>(done) : made.error();
            }
            tail = made.value();
            _pieces.push_back(*tail);
        }
        const usize wanted = std::min(limit - done, tail->memory->capacity() - tail->last);
        auto copied = from.take(tail->memory->data() + tail->last, wanted);
        if (!copied.ok()) {
            return done != 0 ? result<usize>(done) : copied.error();
        }
        tail->last += static_cast<u32>(copied.value());
        done += copied.value();
        _size += copied.value();
        if (copied.value() < wanted) {
            break;
        }
    }
    return done;
}

void tcp_send_queue::drop(usize size) {
    _size -= size;
    _cursor_offset -= std::min(size, _cursor_offset);
    while (size != 0) {
        piece& front = *_pieces.front();
        const usize taken = std::min<usize>(size, front.last - front.first);
        front.first += static_cast<u32>(taken);
        size -= taken;
        if (front.first == front.last) {
            if (_cursor == &front) {
                _cursor = nullptr;
            }
            list<piece, &piece::link>::remove(front);
            free_piece(front);
        }
    }
}

tcp_send_queue::piece* tcp_send_queue::seek(usize& offset) {
    piece* at = _pieces.front();
    usize start = 0;
    if (_cursor != nullptr && _cursor_offset <= offset) {
        at = _cursor;
        start = _cursor_offset;
    }
    while (offset - start >= at->last - at->first) {
        start += at->last - at->first;
        at = _pieces.next(*at);
    }
    _cursor = at;
    _cursor_offset = start;
    offset -= start;
    return at;
}

usize tcp_send_queue::attach(packet_buffer& to, usize offset, usize size) {
    KILN_ASSERT(offset + size <= _size);
    usize done = 0;
    if (size == 0) {
        return 0;
    }
    for (piece* at = seek(offset); done < size; at = _pieces.next(*at)) {
        const usize length = std::min<usize>(size - done, at->last - at->first - offset);
        if (!to.append(at->memory, at->memory->data() + at->first + offset, length)) {
            break;
        }
        done += length;
        offset = 0;
    }
    return done;
}

void tcp_send_queue::clear() {
    while (piece* front = _pieces.pop_front()) {
        free_piece(*front);
    }
    _size = 0;
    _cursor = nullptr;
    _cursor_offset = 0;
}

}  // namespace kiln::net
