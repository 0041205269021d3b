// One byte out of band on an AF_UNIX stream (MSG_OOB), as Linux has it since 5.15: it lies in the queue
// where it was sent, a read stops before it and the next read passes over it, unless SO_OOBINLINE
// makes it part of the stream. A newer one takes the place; the older becomes an ordinary byte. A
// byte that was taken with MSG_OOB leaves an empty message, so that a read still stops there.
//
// Guarded by _queue_lock; who removes messages holds _read_lock too.
#include "net/unix_socket.hh"

namespace kiln::net {

// Never waits for room.
result<void> unix_socket::send_urgent(unix_socket& to, socket_message& message) {
    unique<unix_message> made = TRY(make_message(message, 1));
    made->files = std::move(message.files);
    const result<void> sent = send_one(to, made, true, 0, true);
    if (!sent.ok()) {
        message.data.rewind(1);
        return sent.error();
    }
    return {};
}

result<usize> unix_socket::receive_urgent(socket_message& message, u32 flags) {
    const bool peek = (flags & message_flag::peek) != 0;
    lock_guard reading(_read_lock);
    unix_message* found = nullptr;
    {
        lock_guard guard(_queue_lock);
        found = _options.oob_inline ? nullptr : _urgent;
        _urgent = peek || _options.oob_inline ? _urgent : nullptr;
    }
    if (found == nullptr) {
        return err::inval;
    }
    std::byte byte{};
    found->data->for_each_piece(0, 1, [&](std::span<const std::byte> piece) {
        byte = piece[0];
        return true;
    });
    if (!peek) {
        found->data->drop_front(1);
        taken(1);
    }
    if (message.data.remaining() != 0) {
        TRY(message.data.put(&byte, 1));
    }
    message.flags |= message_flag::oob;
    return usize{1};
}

// Under _queue_lock: the first message with bytes.
unix_message* unix_socket::first_unread() const {
    unix_message* each = _messages.front();
    while (each != nullptr && is_stream() && each->data->size() == 0) {
        each = _messages.next(*each);
    }
    return each;
}

// Under _queue_lock: whether a read need not wait. One that takes bytes passes over an urgent byte,
// which must be seen to do so; one that peeks leaves it.
bool unix_socket::has_readable(bool peek) const {
    if (!is_stream() || !peek) {
        return !_messages.empty();
    }
    unix_message* each = first_unread();
    if (each == _urgent && !_options.oob_inline) {
        each = each == nullptr ? nullptr : _messages.next(*each);
    }
    return each != nullptr;
}

// What a read goes on with: the first message, or for a peek the one after the message that it has
// seen. `at_end`: it must not go on, since it has read something and comes to where urgent data is or
// was.
unix_message* unix_socket::next_to_read(unix_message* after, bool peek, bool any_read,
                                        bool& at_end) {
    list<unix_message, &unix_message::link> passed;
    usize bytes_passed = 0;
    unix_message* each = nullptr;
    {
        lock_guard guard(_queue_lock);
        each = after == nullptr ? _messages.front() : _messages.next(*after);
        const auto pass = [&](unix_message& over) {
            each = _messages.next(over);
            if (!peek) {
                bytes_passed += over.data->size();
                list<unix_message, &unix_message::link>::remove(over);
                --_queued_count;
                passed.push_back(over);
            }
        };
        while (each != nullptr && each->data->size() == 0) {
            if (any_read && _urgent == nullptr) {
                at_end = true;
                break;
            }
            pass(*each);
        }
        if (!at_end && each != nullptr && each == _urgent) {
            if (any_read) {
                at_end = true;
            } else {
                _urgent = peek ? _urgent : nullptr;
                if (!_options.oob_inline) {
                    pass(*each);
                }
            }
        }
    }
    while (unix_message* gone = passed.pop_front()) {
        delete gone;
    }
    if (bytes_passed != 0) {
        taken(bytes_passed);
    }
    return each;
}

result<bool> unix_socket::at_mark() {
    if (!is_stream()) {
        return err::opnotsupp;
    }
    lock_guard reading(_read_lock);
    lock_guard guard(_queue_lock);
    unix_message* const first = _messages.front();
    if (first == nullptr) {
        return false;
    }
    const bool taken_here =
        first->data->size() == 0 && (_urgent == nullptr || _messages.next(*first) == _urgent);
    return first == _urgent || taken_here;
}

}  // namespace kiln::net
