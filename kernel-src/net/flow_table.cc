#include "net/flow_table.hh"

#include "net/tcp_socket.hh"

namespace kiln::net {
namespace {

u64 mix(u64 a, u64 b) {
    const auto product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15) * (b | 1);
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
}

}  // namespace

u32 hash_flow(const flow_key& key, u64 secret) {
    u64 hash = mix(secret ^ key.remote.address.low(), secret ^ key.remote.address.high());
    hash = mix(hash ^ key.local.address.low(), secret + key.local.address.high());
    hash = mix(hash ^ (u64{key.local.port} << 16 | key.remote.port), secret ^ 0xd6e8feb86659fd93);
    return static_cast<u32>(hash ^ hash >> 32);
}

bool flow_table::insert(tcp_socket& added) {
    bucket& to = bucket_of(added.key());
    lock_guard guard(to.lock);
    for (tcp_socket* entry = to.first; entry != nullptr; entry = entry->next_in_bucket) {
        if (entry->key() == added.key()) {
            return false;
        }
    }
    added.next_in_bucket = to.first;
    to.first = &added;
    return true;
}

void flow_table::remove(tcp_socket& gone) {
    bucket& from = bucket_of(gone.key());
    lock_guard guard(from.lock);
    for (tcp_socket** at = &from.first; *at != nullptr; at = &(*at)->next_in_bucket) {
        if (*at == &gone) {
            *at = gone.next_in_bucket;
            return;
        }
    }
}

ref<tcp_socket> flow_table::find(const flow_key& key) {
    bucket& in = bucket_of(key);
    lock_guard guard(in.lock);
    for (tcp_socket* entry = in.first; entry != nullptr; entry = entry->next_in_bucket) {
        if (entry->key() == key && entry->try_add_reference()) {
            return ref<tcp_socket>::adopt(entry);
        }
    }
    return nullptr;
}

tcp_socket* flow_table::next_of(tcp_socket& entry) {
    return entry.next_in_bucket;
}

}  // namespace kiln::net
