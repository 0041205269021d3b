// Initial sequence numbers and SYN cookies: keyed hashes of the four-tuple.
#include "net/flow_table.hh"
#include "net/stack.hh"
#include "net/tcp_listener.hh"

namespace kiln::net {
namespace {

constexpr u16 cookie_sizes[] = {536, 1220, 1300, 1440, 1460, 4312, 8960, 65495};
constexpr u64 cookie_period = 64 * ns_per_s;

// The low 24 bits of a cookie but for the three that hold the size.
u32 cookie_hash(network_stack& stack, const flow_key& key, u32 their_sequence, u64 period) {
    return hash_flow(key, stack.secret(2) ^ (period << 32) ^ their_sequence);
}

}  // namespace

u32 initial_sequence(network_stack& stack, const flow_key& key) {
    return hash_flow(key, stack.secret(3)) + static_cast<u32>(now() / 64);
}

u32 timestamp_offset(network_stack& stack, const flow_key& key) {
    return hash_flow({{key.local.address, 0}, {key.remote.address, 0}}, stack.secret(1));
}

u32 make_syn_cookie(network_stack& stack, const flow_key& key, u32 their_sequence, u16 mss) {
    u32 size = 0;
    while (size + 1 < std::size(cookie_sizes) && cookie_sizes[size + 1] <= mss) {
        ++size;
    }
    const u64 period = now() / cookie_period;
    const u32 hash = cookie_hash(stack, key, their_sequence, period);
    return static_cast<u32>(period % 32) << 27 | size << 24 | (hash & 0xffffff);
}

bool check_syn_cookie(network_stack& stack, const flow_key& key, u32 their_sequence, u32 cookie,
                      u16& mss) {
    const u64 period = now() / cookie_period;
    for (u64 age = 0; age < 3 && age <= period; ++age) {
        const u64 then = period - age;
        if (cookie >> 27 == then % 32) {
            mss = cookie_sizes[cookie >> 24 & 7];
            return (cookie_hash(stack, key, their_sequence, then) & 0xffffff) == (cookie & 0xffffff);
        }
    }
    return false;
}

}  // namespace kiln::net
