// A radix tree from page numbers to pointers, 64 ways a level, as deep as the highest number needs.
//
// Sparse files cost only the paths to what they hold. Not locked: the owner's lock guards. insert
// allocates without waiting, so that it can be called under a spin lock.
#pragma once

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

class page_tree : noncopyable {
public:
    constexpr page_tree() = default;
    ~page_tree();

    void* find(u64 index) const;
    // The place must be empty. err::nomem when there is no memory for a node now.
    result<void> insert(u64 index, void* entry);
    // What was there; null when nothing was.
    void* remove(u64 index);
    // The first entry at or after `index`; null when there is none. Sets `index` to its number.
    void* next(u64& index) const;

private:
    struct node;
    static constexpr u32 bits = 6;
    static constexpr u32 ways = 1u << bits;

    // Whether a tree of this height holds the number.
    bool covers(u64 index) const;
    static void* next_below(const node& top, u32 height, u64& index);

    node* _root = nullptr;
    u32 _height = 0;  // levels; a leaf level holds entries
};

}  // namespace kiln
