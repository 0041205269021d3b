// A radix tree from page numbers to pointers, 64 ways a level, as deep as the highest number needs.
//
// Sparse files cost only the paths to what they hold. Not locked: the owner's lock guards.
// Insertion allocates nothing: nodes come from `spare_nodes`, filled before the owner's lock is
// taken.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

class page_tree : noncopyable {
    struct node;

public:
    // Nodes in reserve for one insertion.
    class spare_nodes : noncopyable {
    public:
        ~spare_nodes();
        // Makes up to `wanted` in all. May sleep.
        result<void> fill(u32 wanted);
        u32 count() const { return _count; }

    private:
        friend class page_tree;
        node* _first = nullptr;
        u32 _count = 0;
    };

    constexpr page_tree() = default;
    ~page_tree();

    void* find(u64 index) const;
    // How many nodes an insertion there needs; the same for all numbers of an aligned group of
    // `ways` together.
    u32 nodes_missing(u64 index) const;
    // The place must be empty, and the spares enough.
    void insert(u64 index, void* entry, spare_nodes& spares);
    // What was there; null when nothing was.
    void* remove(u64 index);
    // The first entry at or after `index`; null when there is none. Sets `index` to its number.
    void* next(u64& index) const;

    static constexpr u32 bits = 6;
    static constexpr u32 ways = 1u << bits;

private:
    // Whether a tree of this height holds the number.
    bool covers(u64 index) const;
    static u32 height_for(u64 index);
    static node* take(spare_nodes& spares);
    static void destroy_below(node& top, u32 height);
    static void* next_below(const node& top, u32 height, u64& index);

    node* _root = nullptr;
    u32 _height = 0;  // levels; a leaf level holds entries
};

}  // namespace kiln
