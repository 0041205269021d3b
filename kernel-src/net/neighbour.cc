#include "net/neighbour.hh"

#include <algorithm>

#include "net/interface.hh"
#include "net/stack.hh"
#include "net/wire.hh"

namespace kiln::net {
namespace {

constexpr usize max_entries = 512;
constexpr usize max_waiting = 64;
constexpr u8 max_tries = 3;                     // RFC 4861, 10: MAX_UNICAST_SOLICIT
constexpr u64 reachable_time = 30 * ns_per_s;   // the same
constexpr u64 tick_interval = ns_per_s;         // RETRANS_TIMER

}  // namespace

neighbour_table::neighbour_table(interface& owner) : _owner(owner) {}

neighbour_table::~neighbour_table() {
    _owner.stack().timers.stop(_tick);
    clear();
}

neighbour* neighbour_table::find(const ip_address& address) {
    for (neighbour& entry : _entries) {
        if (entry.address == address) {
            return &entry;
        }
    }
    return nullptr;
}

// An entry to insert if there is none yet: made before the lock is taken, since that may sleep.
ref<neighbour> neighbour_table::make_spare(const ip_address& address) {
    {
        lock_guard guard(_lock);
        if (find(address) != nullptr || _count >= max_entries) {
            return nullptr;
        }
    }
    auto made = make_ref<neighbour>();
    return made.ok() ? made.take() : nullptr;
}

neighbour* neighbour_table::find_or_insert(const ip_address& address, ref<neighbour>& spare) {
    neighbour* entry = find(address);
    if (entry == nullptr && spare) {
        entry = spare.leak();
        entry->address = address;
        _entries.push_front(*entry);
        ++_count;
    }
    return entry;
}

bool neighbour_table::resolve(const ip_address& address, packet_ptr& packet, mac_address& to) {
    bool ask = false;
    mac_address known_mac{};
    bool known = false;
    ref<neighbour> spare = make_spare(address);
    {
        lock_guard guard(_lock);
        neighbour* entry = find_or_insert(address, spare);
        if (entry == nullptr) {
            return false;
        }
        known = entry->state != neighbour_state::incomplete && entry->state != neighbour_state::failed;
        if (known) {
            to = known_mac = entry->mac;
            if (entry->state == neighbour_state::reachable &&
                now() - entry->confirmed_at > reachable_time) {
                entry->state = neighbour_state::stale;
            }
            if (entry->state == neighbour_state::stale) {
                entry->state = neighbour_state::probing;
                entry->tries = 0;
                ask = true;
            }
        } else {
            ask = entry->state == neighbour_state::failed;
            if (ask) {
                entry->state = neighbour_state::incomplete;
                entry->tries = 0;
            }
            if (entry->waiting.count() >= max_waiting) {
                entry->waiting.pop_front();
            }
            entry->waiting.push_back(std::move(packet));
        }
    }
    if (ask) {
        solicit(address, known ? &known_mac : nullptr);
        start_tick();
    }
    return known;
}

void neighbour_table::solicit(const ip_address& address, const mac_address* known) {
    if (address.is_v4()) {
        arp_request(_owner, address, known);
    } else {
        ndp_solicit(_owner, address, known);
    }
}

void neighbour_table::learn(const ip_address& address, const mac_address& mac, bool create,
                            bool confirmed, bool override_known) {
    packet_queue ready;
    ref<neighbour> spare = create ? make_spare(address) : nullptr;
    {
        lock_guard guard(_lock);
        neighbour* entry = find_or_insert(address, spare);
        if (entry == nullptr) {
            return;
        }
        const bool known = entry->state != neighbour_state::incomplete &&
                           entry->state != neighbour_state::failed;
        if (known && entry->mac != mac && !override_known) {
            return;
        }
        const bool changed = !known || entry->mac != mac;
        entry->mac = mac;
        if (confirmed) {
            entry->state = neighbour_state::reachable;
            entry->confirmed_at = now();
        } else if (changed) {
            entry->state = neighbour_state::stale;
        }
        while (packet_ptr packet = entry->waiting.pop_front()) {
            ready.push_back(std::move(packet));
        }
    }
    const u16 type = address.is_v4() ? ether_type::ipv4 : ether_type::ipv6;
    while (packet_ptr packet = ready.pop_front()) {
        _owner.send_frame(std::move(packet), mac, type);
    }
}

void neighbour_table::clear() {
    lock_guard guard(_lock);
    while (neighbour* entry = _entries.pop_front()) {
        entry->drop_reference();
    }
    _count = 0;
}

usize neighbour_table::snapshot(std::span<shown> to) {
    lock_guard guard(_lock);
    usize count = 0;
    for (neighbour& entry : _entries) {
        if (count < to.size()) {
            to[count] = {entry.address, entry.mac, entry.state};
        }
        ++count;
    }
    return std::min(count, to.size());
}

void neighbour_table::start_tick() {
    {
        lock_guard guard(_lock);
        if (_ticking) {
            return;
        }
        _ticking = true;
    }
    _owner.stack().timers.start(_tick, now() + tick_interval);
}

void neighbour_table::tick(net_timer& expired) {
    member_traits<&neighbour_table::_tick>::object(&expired)->on_tick();
}

// Asks again for what is not answered; gives up after three tries.
void neighbour_table::on_tick() {
    constexpr usize batch = 16;
    struct question {
        ip_address address;
        mac_address mac;
        bool known;
    } questions[batch];
    usize count = 0;
    bool more = false;
    packet_queue undeliverable;
    {
        lock_guard guard(_lock);
        for (neighbour& entry : _entries) {
            const bool incomplete = entry.state == neighbour_state::incomplete;
            if (!incomplete && entry.state != neighbour_state::probing) {
                continue;
            }
            if (++entry.tries >= max_tries) {
                entry.state = neighbour_state::failed;
                while (packet_ptr packet = entry.waiting.pop_front()) {
                    undeliverable.push_back(std::move(packet));
                }
                continue;
            }
            more = true;
            if (count < batch) {
                questions[count++] = {entry.address, entry.mac, !incomplete};
            }
        }
        _ticking = more;
    }
    for (usize i = 0; i < count; ++i) {
        solicit(questions[i].address, questions[i].known ? &questions[i].mac : nullptr);
    }
    while (packet_ptr packet = undeliverable.pop_front()) {
        _owner.stack().undeliverable(std::move(packet));
    }
    if (more) {
        _owner.stack().timers.start(_tick, now() + tick_interval);
    }
}

}  // namespace kiln::net
