// System calls on NUMA memory policy: the answers of a Linux machine with one node. A policy is
// checked and then changes nothing.
#include "linux/syscall.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

// MPOL_* (include/uapi/linux/mempolicy.h).
constexpr int policy_default = 0, policy_preferred = 1, policy_bind = 2, policy_local = 4, policy_preferred_many = 5;
constexpr int static_nodes = 1 << 15, relative_nodes = 1 << 14, balancing = 1 << 13;
constexpr u32 query_node = 1, query_address = 2, query_allowed = 4;
constexpr u64 max_node = 1024;

struct node_mask {
    bool node_zero = false;
    bool others = false;
    bool empty() const { return !node_zero && !others; }
};

// As Linux, which takes `limit` as one more than the number of bits. Bits of nodes that do not exist
// are refused beyond what the kernel was built for and ignored below.
result<node_mask> read_nodes(u64 address, u64 limit) {
    node_mask made;
    if (limit > 0) {
        --limit;
    }
    if (limit == 0 || address == 0) {
        return made;
    }
    if (limit > page_size * 8) {
        return err::inval;
    }
    for (u64 bit = 0; bit < limit; bit += 64) {
        u64 word = TRY(user_ptr<u64>(address + bit / 8).read());
        if (limit - bit < 64) {
            word &= (u64{1} << (limit - bit)) - 1;
        }
        if (bit >= max_node && word != 0) {
            return err::inval;
        }
        made.node_zero |= bit == 0 && (word & 1) != 0;
        made.others |= (bit == 0 ? word & ~u64{1} : word) != 0;
    }
    return made;
}

result<void> check_policy(int mode, const node_mask& nodes) {
    const int flags = mode & (static_nodes | relative_nodes | balancing);
    const int policy = mode & ~flags;
    if (policy < 0 || policy > policy_preferred_many ||
        (flags & (static_nodes | relative_nodes)) == (static_nodes | relative_nodes) ||
        ((flags & balancing) != 0 && policy != policy_bind)) {
        return err::inval;
    }
    switch (policy) {
        case policy_default:
        case policy_local:
            return nodes.empty() && (policy == policy_default || flags == 0) ? result<void>() : err::inval;
        case policy_preferred:
            return nodes.empty() ? (flags == 0 ? result<void>() : err::inval)
                                 : (nodes.node_zero ? result<void>() : err::inval);
        default:
            return nodes.node_zero ? result<void>() : err::inval;
    }
}

}  // namespace

SYSCALL(set_mempolicy, int mode, u64 nodes, u64 limit) {
    const node_mask mask = TRY(read_nodes(nodes, limit));
    TRY(check_policy(mode, mask));
    return 0;
}

SYSCALL(mbind, u64 start, u64 length, u64 mode, u64 nodes, u64 limit, u32 flags) {
    constexpr u32 known = 7;
    const node_mask mask = TRY(read_nodes(nodes, limit));
    if ((flags & ~known) != 0 || !is_aligned(start, page_size)) {
        return err::inval;
    }
    const u64 rounded = align_up(length, page_size);
    if (start + rounded < start) {
        return err::inval;
    }
    if (rounded == 0) {
        return 0;
    }
    TRY(check_policy(static_cast<int>(mode), mask));
    return the_address_space().is_mapped(start, rounded) ? result<i64>(0) : result<i64>(err::fault);
}

SYSCALL(get_mempolicy, u64 policy, u64 nodes, u64 limit, u64 address, u32 flags) {
    if ((flags & ~(query_node | query_address | query_allowed)) != 0 ||
        (nodes != 0 && limit < 1)) {
        return err::inval;
    }
    const bool allowed = (flags & query_allowed) != 0;
    if (allowed && (flags & (query_node | query_address)) != 0) {
        return err::inval;
    }
    if ((flags & query_address) != 0 && !the_address_space().is_mapped(address, 1)) {
        return err::fault;
    }
    if ((flags & query_address) == 0 && (address != 0 || (flags & query_node) != 0)) {
        return err::inval;
    }
    if (policy != 0) {
        TRY(user_ptr<int>(policy).write(policy_default));
    }
    if (nodes != 0) {
        const u64 bytes = align_up((limit - 1 + 7) / 8, 8);
        TRY(clear_user(nodes, bytes));
        if (allowed && bytes != 0) {
            TRY(user_ptr<u64>(nodes).write(1));
        }
    }
    return 0;
}

SYSCALL(set_mempolicy_home_node, u64, u64, u64, u64) {
    return err::nosys;
}

// There is one node, so nothing moves anywhere.
SYSCALL(migrate_pages, int, u64 limit, u64 from, u64 to) {
    TRY(read_nodes(from, limit));
    TRY(read_nodes(to, limit));
    return 0;
}

}  // namespace kiln
