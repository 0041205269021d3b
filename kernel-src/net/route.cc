#include "net/route.hh"

#include <algorithm>

namespace kiln::net {
namespace {

bool same_prefix(const ip_prefix& a, const ip_prefix& b) {
    return a.address == b.address && a.length == b.length;
}

}  // namespace

result<void> route_table::add(const route_entry& added) {
    lock_guard guard(_lock);
    for (usize i = 0; i < _count; ++i) {
        route_entry& known = _entries[i];
        if (same_prefix(known.destination, added.destination) && known.out == added.out) {
            known = added;
            return {};
        }
    }
    if (_count == max_entries) {
        return err::nospc;
    }
    _entries[_count++] = added;
    return {};
}

void route_table::remove(const ip_prefix& destination, const interface* out) {
    lock_guard guard(_lock);
    auto* end = std::remove_if(_entries, _entries + _count, [&](const route_entry& entry) {
        return same_prefix(entry.destination, destination) && entry.out == out;
    });
    _count = static_cast<usize>(end - _entries);
}

void route_table::remove_dynamic(const interface* out, bool v4) {
    lock_guard guard(_lock);
    auto* end = std::remove_if(_entries, _entries + _count, [&](const route_entry& entry) {
        return entry.dynamic && entry.out == out && entry.destination.address.is_v4() == v4;
    });
    _count = static_cast<usize>(end - _entries);
}

bool route_table::find(const ip_address& destination, const interface* out, route_entry& to) {
    lock_guard guard(_lock);
    const route_entry* best = nullptr;
    for (usize i = 0; i < _count; ++i) {
        const route_entry& entry = _entries[i];
        if ((out != nullptr && entry.out != out) || !entry.destination.contains(destination)) {
            continue;
        }
        if (best == nullptr || entry.destination.length > best->destination.length ||
            (entry.destination.length == best->destination.length && entry.metric < best->metric)) {
            best = &entry;
        }
    }
    if (best != nullptr) {
        to = *best;
    }
    return best != nullptr;
}

usize route_table::snapshot(std::span<route_entry> to) {
    lock_guard guard(_lock);
    const usize count = std::min(to.size(), _count);
    std::copy_n(_entries, count, to.data());
    return count;
}

}  // namespace kiln::net
