#include "mm/page_tree.hh"

#include <new>

#include "lib/assert.hh"

namespace kiln {

struct page_tree::node {
    void* slots[ways] = {};
    u32 used = 0;
};

namespace {

constexpr u32 slot_of(u64 index, u32 level, u32 bits) {
    return static_cast<u32>(index >> (level * bits)) & ((1u << bits) - 1);
}

}  // namespace

page_tree::~page_tree() {
    // Owners remove every entry first, and removing the last entry frees the nodes.
    KILN_DEBUG_ASSERT(_root == nullptr);
}

bool page_tree::covers(u64 index) const {
    return _height != 0 && (_height * bits >= 64 || index >> (_height * bits) == 0);
}

void* page_tree::find(u64 index) const {
    if (!covers(index)) {
        return nullptr;
    }
    const node* at = _root;
    for (u32 level = _height - 1; level > 0 && at != nullptr; --level) {
        at = static_cast<const node*>(at->slots[slot_of(index, level, bits)]);
    }
    return at == nullptr ? nullptr : at->slots[slot_of(index, 0, bits)];
}

result<void> page_tree::insert(u64 index, void* entry) {
    while (!covers(index)) {
        auto* top = new (std::nothrow) node;
        if (top == nullptr) {
            return err::nomem;
        }
        if (_root != nullptr) {
            top->slots[0] = _root;
            top->used = 1;
        }
        _root = top;
        ++_height;
    }
    node* at = _root;
    for (u32 level = _height - 1; level > 0; --level) {
        void*& slot = at->slots[slot_of(index, level, bits)];
        if (slot == nullptr) {
            slot = new (std::nothrow) node;
            if (slot == nullptr) {
                return err::nomem;
            }
            ++at->used;
        }
        at = static_cast<node*>(slot);
    }
    at->slots[slot_of(index, 0, bits)] = entry;
    ++at->used;
    return {};
}

void* page_tree::remove(u64 index) {
    if (!covers(index)) {
        return nullptr;
    }
    node* path[64 / bits + 1];
    node* at = _root;
    for (u32 level = _height - 1; level > 0; --level) {
        path[level] = at;
        at = static_cast<node*>(at->slots[slot_of(index, level, bits)]);
        if (at == nullptr) {
            return nullptr;
        }
    }
    path[0] = at;
    void* const entry = at->slots[slot_of(index, 0, bits)];
    if (entry == nullptr) {
        return nullptr;
    }
    for (u32 level = 0; level < _height; ++level) {
        path[level]->slots[slot_of(index, level, bits)] = nullptr;
        if (--path[level]->used != 0) {
            return entry;
        }
        delete path[level];
    }
    _root = nullptr;
    _height = 0;
    return entry;
}

// `index` is relative to the subtree on entry and on return. At most 11 levels deep.
void* page_tree::next_below(const node& top, u32 height, u64& index) {
    const u32 shift = (height - 1) * bits;
    u64 below = shift == 0 ? 0 : index & ((u64{1} << shift) - 1);
    for (u32 slot = static_cast<u32>(index >> shift); slot < ways; ++slot, below = 0) {
        void* const entry = top.slots[slot];
        if (entry == nullptr) {
            continue;
        }
        void* const found = shift == 0 ? entry : next_below(*static_cast<node*>(entry), height - 1, below);
        if (found != nullptr) {
            index = (u64{slot} << shift) | below;
            return found;
        }
    }
    return nullptr;
}

void* page_tree::next(u64& index) const {
    return covers(index) ? next_below(*_root, _height, index) : nullptr;
}

}  // namespace kiln
