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

page_tree::spare_nodes::~spare_nodes() {
    while (_first != nullptr) {
        delete take(*this);
    }
}

// Spares are chained through their first slot.
result<void> page_tree::spare_nodes::fill(u32 wanted) {
    while (_count < wanted) {
        auto* made = new (std::nothrow) node;
        if (made == nullptr) {
            return err::nomem;
        }
        made->slots[0] = _first;
        _first = made;
        ++_count;
    }
    return {};
}

page_tree::node* page_tree::take(spare_nodes& spares) {
    KILN_ASSERT(spares._first != nullptr);
    node* const one = spares._first;
    spares._first = static_cast<node*>(one->slots[0]);
    --spares._count;
    one->slots[0] = nullptr;
    return one;
}

// At most 11 levels deep.
void page_tree::destroy_below(node& top, u32 height) {
    if (height > 1) {
        for (void* below : top.slots) {
            if (below != nullptr) {
                destroy_below(*static_cast<node*>(below), height - 1);
            }
        }
    }
    delete &top;
}

page_tree::~page_tree() {
    if (_root != nullptr) {
        destroy_below(*_root, _height);
    }
}

u32 page_tree::height_for(u64 index) {
    u32 height = 1;
    while (height * bits < 64 && index >> (height * bits) != 0) {
        ++height;
    }
    return height;
}

bool page_tree::covers(u64 index) const {
    return height_for(index) <= _height;
}

u32 page_tree::nodes_missing(u64 index) const {
    const u32 height = height_for(index);
    if (_root == nullptr) {
        return height;
    }
    if (height > _height) {
        return height - _height + height - 1;
    }
    const node* at = _root;
    u32 level = _height - 1;
    while (level > 0 && at->slots[slot_of(index, level, bits)] != nullptr) {
        at = static_cast<const node*>(at->slots[slot_of(index, level, bits)]);
        --level;
    }
    return level;
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

void page_tree::insert(u64 index, void* entry, spare_nodes& spares) {
    const u32 height = height_for(index);
    while (_height < height) {
        // An empty tree starts at the height it needs; others grow at the top.
        if (_root == nullptr) {
            _root = take(spares);
            _height = height;
            break;
        }
        node* const top = take(spares);
        top->slots[0] = _root;
        top->used = 1;
        _root = top;
        ++_height;
    }
    node* at = _root;
    for (u32 level = _height - 1; level > 0; --level) {
        void*& slot = at->slots[slot_of(index, level, bits)];
        if (slot == nullptr) {
            slot = take(spares);
            ++at->used;
        }
        at = static_cast<node*>(slot);
    }
    at->slots[slot_of(index, 0, bits)] = entry;
    ++at->used;
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
        void* const found =
            shift == 0 ? entry : next_below(*static_cast<node*>(entry), height - 1, below);
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
