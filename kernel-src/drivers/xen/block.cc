// Virtual disks of Xen (Xen public io/blkif.h): the driver of one device, with a ring a CPU where the
// backend has as many.
//
// The backend's half may live in another guest and is not trusted: it reaches only the pages of the
// queues. When it breaks a ring, or goes away, the disk is switched off and everything ends in errors.
// Locks: none of its own.
#include <algorithm>

#include "core/log.hh"
#include "core/thread.hh"
#include "drivers/block/sector_disk.hh"
#include "drivers/xen/block_queue.hh"
#include "drivers/xen/event_channel.hh"
#include "drivers/xen/front.hh"
#include "drivers/xen/fronts.hh"
#include "drivers/xen/offers.hh"

namespace kiln::xen {
namespace {

constexpr u32 most_queues = 4;
constexpr u64 request_patience = 30 * ns_per_s;

class disk final : public sector_disk {
public:
    disk() : _front("vbd", &on_backend_change, this) {}
    ~disk() override;

    result<void> offer(std::string_view id);
    result<void> finish();
    void give_up();

    std::string_view name() const override { return {_name, _name_size}; }
    bool read_only() const override { return _read_only; }
    result<void> flush() override;

private:
    struct side {
        disk* of;
        u32 port = 0;
        block_queue queue;
    };

    static void on_event(void* context);
    static void on_expiry(void* context);
    static void on_backend_change(void* context);

    result<void> make_queues();
    result<void> add_queue();
    result<void> publish();
    result<void> publish_queue(front::writer& to, u32 number);
    result<void> read_properties();
    result<void> connect_queues();
    result<void> transfer(transfer_kind kind, u64 sector,
                          std::span<const dma_piece> pieces) override;
    block_queue::outcome run(block_operation what, u64 sector, std::span<const dma_piece> pieces);
    result<bool> flush_by(block_operation what, std::atomic<bool>& known);
    void look_again();
    void switch_off(std::string_view why);
    void close_queues();
    void say_closed();

    front _front;
    vector<unique<side>> _sides;
    u64 _number = 0;
    u32 _sectors_of_512 = 1;  // in a sector
    bool _read_only = false;
    std::atomic<bool> _flushes{false}, _barriers{false};
    std::atomic<bool> _connected{false}, _off{false}, _closed_said{false};
    char _name[24]{};
    usize _name_size = 0;
};

// Only of one that never was in use.
disk::~disk() {
    _front.stop_watching();
    for (const unique<side>& each : _sides) {
        event_channel::close(each->port);
    }
}

// ---- setting up ----

result<void> disk::offer(std::string_view id) {
    _name_size = format_to(_name, "vbd {}", id);
    TRY(_front.open(id));
    _number = _front.own_number("virtual-device", 0);
    _name_size = name_disk(_number, _name);
    TRY(make_queues());
    TRY(publish());
    return _front.change_state(xenbus_state::initialised);
}

result<void> disk::make_queues() {
    const u64 offered = _front.offered("multi-queue-max-queues", 0);
    const u32 wanted = choose_queues(offered, cpu_count(), most_queues);
    TRY(add_queue());
    while (_sides.size() < wanted && add_queue().ok()) {
    }
    return {};
}

result<void> disk::add_queue() {
    auto made = TRY(make_unique<side>());
    made->of = this;
    TRY(made->queue.open(grants(), _front.backend_domain()));
    made->port = TRY(event_channel::allocate_unbound(_front.backend_domain()));
    return _sides.push_back(std::move(made));
}

result<void> disk::publish_queue(front::writer& to, u32 number) {
    const side& each = *_sides[number];
    if (_sides.size() == 1) {
        TRY(to.put("ring-ref", each.queue.ring_page()));
        return to.put("event-channel", each.port);
    }
    TRY(to.put_for_queue(number, "ring-ref", each.queue.ring_page()));
    return to.put_for_queue(number, "event-channel", each.port);
}

result<void> disk::publish() {
    return _front.publish([&](front::writer& to) -> result<void> {
        TRY(to.put_text("protocol", "x86_64-abi"));
        TRY(to.put("feature-persistent", 1));
        if (_front.offered("multi-queue-max-queues", 0) != 0) {
            TRY(to.put("multi-queue-num-queues", _sides.size()));
        }
        for (u32 i = 0; i < _sides.size(); ++i) {
            TRY(publish_queue(to, i));
        }
        return {};
    });
}

result<void> disk::finish() {
    TRY(_front.wait_until_connected());
    TRY(read_properties());
    TRY(connect_queues());
    TRY(_front.change_state(xenbus_state::connected));
    _connected.store(true, std::memory_order_release);
    return {};
}

result<void> disk::read_properties() {
    const disk_geometry geometry = TRY(
        check_geometry(_front.offered("sectors", 0), _front.offered("sector-size", 512)));
    if (geometry.sectors == 0) {
        return err::nodev;  // a drive without a disk
    }
    _read_only = (_front.offered("info", 0) & block_info::read_only) != 0;
    _flushes = _front.offered("feature-flush-cache", 0) == 1;
    _barriers = _front.offered("feature-barrier", 0) == 1;
    _sectors_of_512 = geometry.sector_size / 512;
    const u32 segments = choose_segments(_front.offered("feature-max-indirect-segments", 0));
    return set_geometry(geometry.sectors, {.sector_size = geometry.sector_size,
                                           .longest = segments * page_size});
}

result<void> disk::connect_queues() {
    const u32 segments = choose_segments(_front.offered("feature-max-indirect-segments", 0));
    for (u32 i = 0; i < _sides.size(); ++i) {
        side& each = *_sides[i];
        TRY(each.queue.connect(grants(), _front.backend_domain(), segments,
                               {&event_channel::notify, each.port}, static_cast<u16>(_number)));
        TRY(event_channel::attach(each.port, &on_event, &each, i));
    }
    log_debug("xen-blkfront: {} of {} bytes{}, {} queues, {} pages a request{}", name(),
              size_in_bytes(), _read_only ? ", read-only" : "", _sides.size(), segments,
              _front.offered("feature-persistent", 0) == 1 ? ", kept mapped" : "");
    return {};
}

// ---- running ----

void disk::on_event(void* context) {
    auto& mine = *static_cast<side*>(context);
    if (!mine.queue.take_finished()) {
        mine.of->switch_off("the backend broke its ring");
    }
}

void disk::on_expiry(void* context) {
    static_cast<disk*>(context)->look_again();
}

// A request has taken long. The event may be lost; a slow disk is waited for.
void disk::look_again() {
    log_warning("xen-blkfront: {} has not answered for {} s", name(), request_patience / ns_per_s);
    for (const unique<side>& each : _sides) {
        on_event(each.get());
    }
    if (_front.backend_state() != xenbus_state::connected) {
        switch_off("the backend has gone");
    }
}

void disk::on_backend_change(void* context) {
    auto& self = *static_cast<disk*>(context);
    if (self._connected && self._front.backend_state() != xenbus_state::connected) {
        self.switch_off("the backend closes it");
        self.say_closed();
    }
}

// Context: any. The backend can go on writing to the queues' pages, which nobody reads any more.
void disk::switch_off(std::string_view why) {
    if (!_off.exchange(true)) {
        log_error("xen-blkfront: {}: {}; it is not used any more", name(), why);
        close_queues();
    }
}

void disk::close_queues() {
    for (const unique<side>& each : _sides) {
        event_channel::mask(each->port);
        each->queue.close();
    }
}

// In a thread, after switch_off.
void disk::say_closed() {
    if (!_closed_said.exchange(true)) {
        (void)_front.change_state(xenbus_state::closing);
        (void)_front.change_state(xenbus_state::closed);
    }
}

void disk::give_up() {
    close_queues();
    say_closed();
}

block_queue::outcome disk::run(block_operation what, u64 sector,
                               std::span<const dma_piece> pieces) {
    const block_queue::patience waiting{request_patience, &on_expiry, this};
    const auto how = _sides[this_cpu() % _sides.size()]->queue.run(what, sector, pieces, waiting);
    if (how == block_queue::outcome::closed) {
        say_closed();
    } else if (how == block_queue::outcome::failed) {
        log_warning("xen-blkfront: {}: operation {} at sector {} failed", name(),
                    static_cast<u32>(what), sector);
    }
    return how;
}

result<void> disk::transfer(transfer_kind kind, u64 sector, std::span<const dma_piece> pieces) {
    const auto what = kind == transfer_kind::read ? block_operation::read : block_operation::write;
    return run(what, sector * _sectors_of_512, pieces) == block_queue::outcome::good
               ? result<void>()
               : err::io;
}

// True when it has been done. A backend may find out late that it cannot.
result<bool> disk::flush_by(block_operation what, std::atomic<bool>& known) {
    if (!known) {
        return false;
    }
    switch (run(what, 0, {})) {
        case block_queue::outcome::good: return true;
        case block_queue::outcome::not_supported:
            log_warning("xen-blkfront: {}: the backend does not {} after all", name(),
                        what == block_operation::flush ? "flush" : "know barriers");
            known = false;
            return false;
        default: return err::io;
    }
}

// Where the backend has neither, writes are as durable as they get when they are done.
result<void> disk::flush() {
    if (!TRY(flush_by(block_operation::flush, _flushes))) {
        (void)TRY(flush_by(block_operation::write_barrier, _barriers));
    }
    return {};
}

}  // namespace

result<block_device*> offer_disk(std::string_view id) {
    auto made = TRY(make_unique<disk>());
    auto outcome = made->offer(id);
    if (!outcome.ok()) {
        made->give_up();
        return outcome.error();
    }
    return made.leak();
}

result<void> finish_disk(block_device& offered) {
    unique<disk> made(static_cast<disk*>(&offered));
    auto outcome = made->finish();
    if (!outcome.ok()) {
        made->give_up();
        return outcome;
    }
    register_block_device(*made.leak());
    return {};
}

}  // namespace kiln::xen
