// Connected TCP flows by their four-tuple. Look-ups come from every network thread, so a bucket has
// its own lock, held for a few instructions; what is found gets a reference.
// Lock: the bucket's spin lock, innermost. Context: threads.
#pragma once

#include "core/spinlock.hh"
#include "lib/vector.hh"
#include "net/flow.hh"

namespace kiln::net {

class tcp_socket;

// A keyed hash, so that nobody outside can make chains long.
u32 hash_flow(const flow_key& key, u64 secret);

class flow_table : noncopyable {
public:
    static constexpr usize bucket_count = 2048;

    void set_secret(u64 secret) { _secret = secret; }
    // False when the key is taken.
    bool insert(tcp_socket& added);
    void remove(tcp_socket& gone);
    ref<tcp_socket> find(const flow_key& key);
    // The n-th and later entries, for /proc/net/tcp: calls `visit` for each with the bucket locked.
    template <class Visit>
    void for_each(Visit visit) {
        for (bucket& at : _buckets) {
            lock_guard guard(at.lock);
            for (tcp_socket* entry = at.first; entry != nullptr; entry = next_of(*entry)) {
                visit(*entry);
            }
        }
    }

private:
    struct bucket {
        spinlock lock;
        tcp_socket* first = nullptr;
    };
    static tcp_socket* next_of(tcp_socket& entry);
    bucket& bucket_of(const flow_key& key) {
        return _buckets[hash_flow(key, _secret) % bucket_count];
    }

    u64 _secret = 0;
    bucket _buckets[bucket_count];
};

}  // namespace kiln::net
