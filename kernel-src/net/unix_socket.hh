// AF_UNIX sockets: streams, datagrams and sequenced packets between threads of the one process, with
// names in the file system or abstract ones, and descriptors passed along.
//
// A message is copied once into kernel memory by the sender and once out of it by the receiver.
// Locks: the family's one sleeping lock (names, peers, accept queues; never held while user memory is
// touched or a thread waits) → a socket's _queue_lock (spin, its messages). _read_lock (sleeping)
// keeps readers of a stream apart and is held while bytes go to the program; it comes first.
// Context: threads.
#pragma once

#include "core/mutex.hh"
#include "net/packet_buffer.hh"
#include "net/socket.hh"

namespace kiln::net {

class unix_socket;

// What a name in the file system stands for. Implemented above the stack, where there is a file
// system (linux/socket_names.cc), and by the tests.
// Keeps the identity alive.
class unix_path_holder : public ref_counted<unix_path_holder> {
public:
    virtual ~unix_path_holder() = default;
};
struct unix_path {
    ref<unix_path_holder> entry;
    const void* identity = nullptr;  // the inode
};

struct unix_message {
    list_node link;
    packet_ptr data;
    usize size = 0;  // that was sent
    vector<ref<file>> files;
    socket_credentials credentials{};
    socket_address from;
};

class unix_socket final : public socket {
public:
    explicit unix_socket(u16 type) : socket(address_family::local, type, 0) {}
    ~unix_socket() override;

    static result<void> make_pair(u16 type, ref<socket>& first, ref<socket>& second);

    result<void> bind(const socket_address& address) override;
    result<void> listen(i32 backlog) override;
    result<ref<socket>> accept(bool nonblocking) override;
    result<void> connect(const socket_address& address, bool nonblocking) override;
    result<usize> send(socket_message& message, u32 flags) override;
    result<usize> receive(socket_message& message, u32 flags) override;
    result<void> shutdown(i32 how) override;
    result<void> local_address(socket_address& to) override;
    result<void> peer_address(socket_address& to) override;
    result<usize> get_option(i32 level, i32 name, std::span<std::byte> value) override;
    result<usize> bytes_to_read() override;
    result<usize> bytes_unsent() override;
    result<bool> at_mark() override;
    u32 poll_events() override;
    void close() override;

private:
    friend class unix_names;
    enum class phase : u8 { unconnected, listening, connected, closed };

    bool is_stream() const { return type() == socket_type::stream; }
    bool connection_based() const { return type() != socket_type::datagram; }
    bool is_listening() const override { return _phase == phase::listening; }

    static result<ref<unix_socket>> find_named(const socket_address& name);
    result<void> bind_automatically();
    result<void> connect_stream(unix_socket& listener);
    void link_peers(unix_socket& other);
    ref<unix_socket> peer();
    bool has_room() const;
    void enqueue(unique<unix_message> message, bool urgent = false);
    result<void> send_one(unix_socket& to, unique<unix_message>& message, bool nonblocking, u64 until,
                          bool urgent = false);
    result<usize> send_stream(socket_message& message, u32 flags);
    result<usize> send_packet(socket_message& message, u32 flags);
    result<unique<unix_message>> make_message(socket_message& from, usize size);
    result<ref<unix_socket>> destination(const socket_message& message);
    result<usize> receive_stream(socket_message& message, u32 flags);
    result<usize> receive_packet(socket_message& message, u32 flags);
    result<void> wait_readable(u32 flags, u64 until);
    void drop_message(unix_message& gone);
    // net/unix_urgent.cc.
    result<void> send_urgent(unix_socket& to, socket_message& message);
    result<usize> receive_urgent(socket_message& message, u32 flags);
    unix_message* first_unread() const;
    unix_message* next_to_read(unix_message* after, bool peek, bool any_read, bool& at_end);
    bool has_readable(bool peek) const;
    void report(const unix_message& from, socket_message& to, bool peek);
    void taken(usize bytes);
    void drop_messages();

    std::atomic<phase> _phase{phase::unconnected};
    socket_address _name;         // size 2 or 0: none
    unix_path _path;              // of a name in the file system
    list_node _name_link;
    ref<unix_socket> _peer;       // the family's lock
    socket_address _peer_name;
    socket_credentials _peer_credentials{-1, ~0u, ~0u};
    socket_credentials _own_credentials{};
    u32 _backlog = 0;
    list_node _accept_link;
    list<unix_socket, &unix_socket::_accept_link> _ready;  // one reference each
    u32 _ready_count = 0;

    mutex _read_lock;
    mutable spinlock _queue_lock;
    list<unix_message, &unix_message::link> _messages;
    // One of them: the last byte that came with MSG_OOB, until it was taken or passed over. What was
    // taken stays as an empty message, since a read stops there.
    unix_message* _urgent = nullptr;
    usize _queued_bytes = 0;
    u32 _queued_count = 0;
    std::atomic<bool> _read_shut{false};
    std::atomic<bool> _write_shut{false};
    std::atomic<bool> _reset{false};  // the peer went without reading everything
};

// The seam to what lies above. `create` makes a socket file (err::addrinuse when there is something);
// `find` looks one up.
result<unix_path> create_unix_path(std::string_view path);
result<unix_path> find_unix_path(std::string_view path);
socket_credentials own_credentials();

}  // namespace kiln::net
