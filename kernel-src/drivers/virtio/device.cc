#include "drivers/virtio/device.hh"

#include <algorithm>
#include <bit>

#include "core/page.hh"
#include "core/spinlock.hh"

namespace kiln::virtio {
namespace {

// A device answers a reset at once; one that has not after this many reads is broken.
constexpr u32 most_reset_polls = 100'000;

u32 order_for(usize size) {
    const usize pages = align_up(size, page_size) >> page_shift;
    return static_cast<u32>(std::bit_width(pages - 1));
}

}  // namespace

result<void> device::stop() {
    _transport->set_status(0);
    for (u32 polls = 0; _transport->status() != 0; ++polls) {
        if (polls == most_reset_polls) {
            return err::io;
        }
        cpu_relax();
    }
    return {};
}

result<void> device::begin(u64 wanted) {
    TRY(stop());
    return agree(wanted);
}

result<void> device::agree(u64 wanted) {
    _transport->set_status(status::acknowledge | status::driver);
    const u64 offered = _transport->device_features();
    if (!legacy() && (offered & feature::version_1) == 0) {
        return err::io;
    }
    const u64 of_rings = feature::event_index | (legacy() ? 0 : feature::packed_ring);
    _features = offered & (wanted | feature::version_1 | of_rings);
    _transport->set_driver_features(_features);
    if (legacy()) {
        return {};
    }
    _transport->set_status(status::acknowledge | status::driver | status::features_ok);
    return (_transport->status() & status::features_ok) != 0 ? result<void>() : err::opnotsupp;
}

void device::start() {
    const u8 agreed = legacy() ? u8{0} : status::features_ok;
    _transport->set_status(status::acknowledge | status::driver | agreed | status::driver_ok);
}

result<void> device::restart() {
    const u64 before = _features;
    TRY(agree(before));
    if (_features != before) {
        return err::io;
    }
    for (const added_queue& each : _queues) {
        TRY(_transport->enable_queue(each.index, *each.made, each.message));
    }
    if (_config_message != no_message) {
        _transport->set_config_message(_config_message);
    }
    return {};
}

void device::fail() {
    _transport->set_status(status::failed);
}

void device::switch_off() {
    fail();
    _transport->cut_off();
    _transport->silence();
}

result<u16> device::connect(interrupt_handler handler, void* context, u32 cpu) {
    if (!_transport->has_messages()) {
        TRY(connect_shared(handler, context, cpu));
        return no_message;
    }
    const u16 message = static_cast<u16>(_messages_used);
    TRY(_transport->connect(message, handler, context, cpu));
    ++_messages_used;
    return message;
}

result<void> device::connect_shared(interrupt_handler handler, void* context, u32 cpu) {
    if (_connection_count == most_connections) {
        return err::nospc;
    }
    _connections[_connection_count] = {handler, context};
    if (++_connection_count == 1) {
        TRY(_transport->connect(0, &on_shared_line, this, cpu));
    }
    return {};
}

void device::on_shared_line(void* context) {
    auto& self = *static_cast<device*>(context);
    if (self._transport->take_interrupt_status() == 0) {
        return;
    }
    for (u32 i = 0; i < self._connection_count; ++i) {
        self._connections[i].handler(self._connections[i].context);
    }
}

// Small rings share pages; legacy rings begin on one of their own.
result<std::byte*> device::ring_memory(usize size) {
    size = align_up(size, 64);
    if (legacy() || size > _spare_size) {
        const u32 order = order_for(size);
        page* block = TRY(alloc_pages(order));
        _spare = static_cast<std::byte*>(page_data(*block));
        _spare_size = page_size << order;
        __builtin_memset(_spare, 0, _spare_size);
    }
    std::byte* taken = _spare;
    _spare += size;
    _spare_size -= size;
    return taken;
}

result<doorbell> device::add_queue(u16 index, queue& made, u16 wanted, u16 message) {
    const u16 offered = _transport->queue_size(index);
    if (offered == 0) {
        return err::nodev;
    }
    const u16 size =
        _transport->fixed_queue_size() ? offered : std::min(std::bit_floor(offered), wanted);
    if (size > largest_queue || (size & (size - 1)) != 0) {
        return err::opnotsupp;
    }
    const queue::form form = legacy()                     ? queue::form::legacy
                             : has(feature::packed_ring) ? queue::form::packed
                                                         : queue::form::split;
    std::byte* memory = TRY(ring_memory(queue::memory_needed(size, form)));
    made.init(size, memory, form, has(feature::event_index));
    TRY(_queues.push_back({&made, index, message}));
    return _transport->enable_queue(index, made, message);
}

}  // namespace kiln::virtio
